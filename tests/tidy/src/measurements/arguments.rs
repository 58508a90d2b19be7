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

/// A type of clap's with its name, and whether a program begins with it.
#[derive(Debug)]
struct Named {
    name: String,
    kind: Kind,
    is_root: bool,
}

/// Every type of clap's in a tree: (path, types).
#[derive(Debug)]
pub struct Sources(Vec<(String, Vec<Named>)>);

/// What one program can name: its types, nearest first, and the one that it begins with.
struct Types<'a> {
    known: BTreeMap<&'a str, &'a Kind>,
    root: Option<&'a str>,
}

impl Sources {
    /// Reads the Rust files that mention clap.
    pub fn read(tree: &Tree) -> Self {
        let files = tree.texts(&[".rs"]).filter(|(_, text)| text.contains("clap"));
        let parsed = files.filter_map(|(path, text)| {
            let types = syn::parse_file(text).ok()?.items.iter().filter_map(Named::of).collect();
            Some((path.to_owned(), types))
        });
        Self(parsed.collect())
    }

    /// What a program refuses of `words`; nothing where it does not use clap.
    ///
    /// `main` is the program's main file, `folder` that of its package.
    pub fn refused(&self, words: &[&str], main: &str, folder: &str) -> Vec<String> {
        let types = self.types(main, folder);
        types.root.map_or_else(Vec::new, |root| types.refused(words, main, root))
    }

    /// First the main file, then the package's sources, then everybody else's.
    fn types(&self, main: &str, folder: &str) -> Types<'_> {
        let sources = format!("{folder}src/");
        // A program of one file has its arguments there; what stands in main.rs may have them in the package's library.
        let whole = main == format!("{sources}main.rs");
        let distance = |path: &str| if path == main { 0 } else { 2 - u8::from(path.starts_with(&sources)) };
        let mut files: Vec<_> = self.0.iter().map(|(path, types)| (distance(path), types)).collect();
        files.sort_by_key(|(distance, _)| *distance);
        let (mut known, mut root) = (BTreeMap::new(), None);
        for (distance, Named { name, kind, is_root }) in
            files.into_iter().flat_map(|(distance, types)| types.iter().map(move |named| (distance, named)))
        {
            if *is_root && root.is_none() && (distance == 0 || whole && distance == 1) {
                root = Some(name.as_str());
            }
            known.entry(name.as_str()).or_insert(kind);
        }
        Types { known, root }
    }
}

impl Types<'_> {
    fn refused(&self, words: &[&str], main: &str, root: &str) -> Vec<String> {
        let (mut flags, mut verbs) = self.scope(&Scope { parts: vec![root.to_owned()], ..Scope::default() });
        let mut wrong = Vec::new();
        let mut words = words.iter().copied();
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
                let Some(scope) = verbs.get(word) else {
                    wrong.push(format!("{main} has no verb {word}"));
                    return wrong;
                };
                let (more, next) = self.scope(scope);
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

    /// A scope with everything that its parts bring: flags, and verbs that may follow.
    fn scope(&self, scope: &Scope) -> (BTreeMap<String, bool>, BTreeMap<String, Scope>) {
        let (mut flags, mut verbs) = (scope.flags.clone(), BTreeMap::new());
        for part in &scope.parts {
            match self.known.get(part.as_str()) {
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

impl Named {
    fn of(item: &Item) -> Option<Self> {
        match item {
            Item::Struct(item) if derives(&item.attrs, &["Parser", "Args"]) => Some(Self {
                name: item.ident.to_string(),
                kind: Kind::Struct(Scope::of(&item.fields)),
                is_root: derives(&item.attrs, &["Parser"]),
            }),
            Item::Enum(item) if derives(&item.attrs, &["Subcommand"]) => {
                let mut verbs = BTreeMap::new();
                for variant in &item.variants {
                    let name = setting(&variant.attrs, "name").flatten();
                    verbs.insert(name.unwrap_or_else(|| kebab(&variant.ident.to_string())), Scope::of(&variant.fields));
                }
                Some(Self { name: item.ident.to_string(), kind: Kind::Verbs(verbs), is_root: false })
            }
            _ => None,
        }
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
            let words: Vec<&str> = line.split(' ').collect();
            Sources::read(&tree).refused(&words, "a/src/main.rs", "a/").into_iter().next()
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
