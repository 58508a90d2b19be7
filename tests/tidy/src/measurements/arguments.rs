//! A program's sources (clap's derived structs and enums) and the words of a command line → what it would refuse.
//!
//! Known are flags and verbs, and which flags take a value; what a value must look like is for clap to say.

use std::collections::BTreeMap;

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Field, Fields, GenericArgument, Item, Lit, PathArguments, Token, Type};

use crate::tree::Tree;

/// What one struct or variant takes.
#[derive(Debug, Clone, Default)]
struct Scope {
    /// Name → whether a value follows.
    flags: BTreeMap<String, bool>,
    /// Types whose fields belong here as well, and enums of verbs.
    parts: Vec<String>,
}

/// A type of clap's.
#[derive(Debug, Clone)]
enum Kind {
    Struct(Scope),
    Verbs(BTreeMap<String, Scope>),
}

/// The types of a tree by name, those of the files that come first before others.
#[derive(Debug, Default)]
struct Types(BTreeMap<String, Kind>, Option<String>);

/// What a program refuses of `words`; nothing where it does not use clap.
///
/// `main` is the program's main file, `folder` that of its package.
pub fn check(words: &[String], main: &str, folder: &str, tree: &Tree) -> Vec<String> {
    let types = Types::of(main, folder, tree);
    let Some(root) = &types.1 else { return Vec::new() };
    let (mut flags, mut verbs) = types.scope(&Scope { parts: vec![root.clone()], ..Scope::default() });
    let mut wrong = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(flag) = word.strip_prefix("--") {
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            match flags.get(name) {
                None => wrong.push(format!("{main} has no flag --{name}")),
                Some(true) if value.is_none() && words.next().is_none() => {
                    wrong.push(format!("--{name} takes a value"));
                }
                Some(_) => {}
            }
        } else if !verbs.is_empty() && !word.starts_with('-') {
            let Some(scope) = verbs.get(word.as_str()) else {
                wrong.push(format!("{main} has no verb {word}"));
                return wrong;
            };
            let (more, next) = types.scope(scope);
            flags.extend(more);
            verbs = next;
        }
    }
    if !verbs.is_empty() {
        let known: Vec<&str> = verbs.keys().map(String::as_str).collect();
        wrong.push(format!("{main} needs a verb: {}", known.join(", ")));
    }
    wrong
}

impl Types {
    /// First the main file, then the package's sources, then everybody else's.
    fn of(main: &str, folder: &str, tree: &Tree) -> Self {
        let mut types = Self::default();
        let sources = format!("{folder}src/");
        // A program of one file has its arguments there; what stands in main.rs may have them in the package's library.
        let whole = main == format!("{sources}main.rs");
        let near = |path: &str| if path == main { 0 } else { 2 - u8::from(path.starts_with(&sources)) };
        let mut files: Vec<(&str, &str)> = tree.texts(&[".rs"]).filter(|(_, text)| text.contains("clap")).collect();
        files.sort_by_key(|(path, _)| near(path));
        for (path, text) in files {
            let Ok(file) = syn::parse_file(text) else { continue };
            for item in &file.items {
                types.add(item, path == main || whole && near(path) < 2);
            }
        }
        types
    }

    fn add(&mut self, item: &Item, may_be_root: bool) {
        let (name, kind) = match item {
            Item::Struct(item) if derives(&item.attrs, &["Parser", "Args"]) => {
                if may_be_root && self.1.is_none() && derives(&item.attrs, &["Parser"]) {
                    self.1 = Some(item.ident.to_string());
                }
                (item.ident.to_string(), Kind::Struct(Scope::of(&item.fields)))
            }
            Item::Enum(item) if derives(&item.attrs, &["Subcommand"]) => {
                let mut verbs = BTreeMap::new();
                for variant in &item.variants {
                    let name = setting(&variant.attrs, "name").flatten();
                    verbs.insert(name.unwrap_or_else(|| kebab(&variant.ident.to_string())), Scope::of(&variant.fields));
                }
                (item.ident.to_string(), Kind::Verbs(verbs))
            }
            _ => return,
        };
        self.0.entry(name).or_insert(kind);
    }

    /// A scope with everything that its parts bring: flags, and verbs that may follow.
    fn scope(&self, scope: &Scope) -> (BTreeMap<String, bool>, BTreeMap<String, Scope>) {
        let (mut flags, mut verbs) = (scope.flags.clone(), BTreeMap::new());
        for part in &scope.parts {
            match self.0.get(part) {
                Some(Kind::Struct(inner)) => {
                    let (more, next) = self.scope(inner);
                    flags.extend(more);
                    verbs.extend(next);
                }
                Some(Kind::Verbs(known)) => verbs.extend(known.clone()),
                None => {}
            }
        }
        (flags, verbs)
    }
}

impl Scope {
    fn of(fields: &Fields) -> Self {
        let mut scope = Self::default();
        for field in fields {
            let is_part = ["flatten", "subcommand"].iter().any(|word| setting(&field.attrs, word).is_some());
            if is_part || field.ident.is_none() {
                scope.parts.extend(innermost(&field.ty));
            } else if let Some(long) = setting(&field.attrs, "long") {
                let named = || field.ident.as_ref().map_or_else(String::new, |ident| kebab(&ident.to_string()));
                scope.flags.insert(long.unwrap_or_else(named), takes_a_value(field));
            }
        }
        scope
    }
}

fn takes_a_value(field: &Field) -> bool {
    innermost(&field.ty).as_deref() != Some("bool") && setting(&field.attrs, "action").is_none()
}

/// The last name of a type, behind `Option`, `Vec` and `Box`.
fn innermost(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    if let (true, PathArguments::AngleBracketed(inner)) =
        (["Option", "Vec", "Box"].iter().any(|outer| last.ident == outer), &last.arguments)
        && let Some(GenericArgument::Type(inner)) = inner.args.first()
    {
        return innermost(inner);
    }
    Some(last.ident.to_string())
}

fn derives(attributes: &[Attribute], wanted: &[&str]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let paths = attribute.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated);
        let mut names = paths.into_iter().flatten().filter_map(|path| Some(path.segments.last()?.ident.to_string()));
        names.any(|name| wanted.contains(&name.as_str()))
    })
}

/// Whether `#[arg(…)]`, `#[command(…)]` or `#[clap(…)]` has `key`, and the text that it is set to.
fn setting(attributes: &[Attribute], key: &str) -> Option<Option<String>> {
    let mut found = None;
    for attribute in attributes {
        if !["arg", "command", "clap"].iter().any(|name| attribute.path().is_ident(name)) {
            continue;
        }
        // What is not of this form is not a setting that is looked for.
        let _ = attribute.parse_nested_meta(|meta| {
            let mut value = None;
            if meta.input.peek(Token![=])
                && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = meta.value()?.parse::<Expr>()?
            {
                value = Some(text.value());
            }
            if meta.path.is_ident(key) {
                found = Some(value);
            }
            Ok(())
        });
    }
    found
}

/// `more_people`, `TryDevice` → `more-people`, `try-device`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.trim_start_matches("r#").chars() {
        if c == '_' || c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        if c != '_' {
            kebab.push(c.to_ascii_lowercase());
        }
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::File;

    const SOURCE: &str = r#"
        use clap::Parser;
        /// A program.
        #[derive(Parser)]
        struct Cli {
            #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(0..=256))]
            threads: u16,
            #[command(subcommand)]
            verb: Verb,
        }
        #[derive(Debug, clap::Subcommand)]
        enum Verb {
            TryDevice,
            More { #[arg(long)] from: Option<PathBuf>, #[command(flatten)] args: MoreArgs },
            Table(TableArgs),
        }
        #[derive(clap::Args)]
        struct MoreArgs { #[arg(long = "more-steps", default_value_t = 3)] steps: u32, #[arg(long)] force: bool }
        #[derive(clap::Args)]
        struct TableArgs { #[command(subcommand)] action: Action }
        #[derive(clap::Subcommand)]
        enum Action { Add { table: PathBuf } }
    "#;

    #[test]
    fn flags_and_verbs_are_those_of_the_sources() {
        fn refused(line: &str) -> Option<String> {
            let text = Some(SOURCE.to_owned());
            let tree = Tree { files: vec![File { path: "a/src/main.rs".into(), text }], ..Tree::default() };
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            check(&words, "a/src/main.rs", "a/", &tree).into_iter().next()
        }
        for fine in [
            "try-device",
            "--threads 2 try-device",
            "more --from x --more-steps=9 --force",
            "table add --threads 1 trained",
        ] {
            assert_eq!(refused(fine), None, "{fine}");
        }
        for (line, said) in [
            ("train", "no verb train"),
            ("--threads more", "needs a verb"),
            ("more --steps 9", "no flag --steps"),
            ("more --from", "--from takes a value"),
            ("table remove x", "no verb remove"),
            ("table", "needs a verb: add"),
            ("try-device --from x", "no flag --from"),
        ] {
            assert!(refused(line).is_some_and(|text| text.contains(said)), "{line}: {:?}", refused(line));
        }
    }
}
