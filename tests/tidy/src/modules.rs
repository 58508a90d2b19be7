//! The modules of a crate, as its sources declare them: a crate root's path in, a tree of modules with what each
//! defines, re-exports and refers to out.
//!
//! Code for tests (`#[cfg(test)]`) is left out. References inside macro calls are read from their tokens.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

use crate::tree::Tree;

/// A module's place in its crate: the names from the crate root to it; the root's place is empty.
pub type Place = Vec<String>;

/// A crate's modules by place.
pub type Modules = BTreeMap<Place, Module>;

/// What one module defines, brings in and refers to.
#[derive(Debug, Default)]
pub struct Module {
    /// The file that holds it, relative to the repository's root.
    pub file: String,
    /// The names of the items that it defines.
    pub defines: BTreeSet<String>,
    /// Names that `use` brings into it, and the path that each stands for. Private imports count as well: a child may
    /// reach them through `super`.
    pub imports: BTreeMap<String, Vec<String>>,
    /// Paths of modules that `use …::*` brings into it.
    pub globs: Vec<Vec<String>>,
    /// Each path that its code refers to, with the line.
    pub references: Vec<(Vec<String>, usize)>,
}

/// Reads the modules of the crate whose root is the file `root` (`…/src/lib.rs` or `…/src/main.rs`).
///
/// # Errors
/// One line of text: a file that is not Rust, or a module whose file is missing.
pub fn of_crate(tree: &Tree, root: &str) -> Result<Modules, String> {
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut modules = Modules::new();
    read(tree, root, &folder, Place::new(), &mut modules)?;
    Ok(modules)
}

/// The module that `path`, as written in the module at `from`, leads to: the one that defines what the path names.
/// `None` for paths that leave the crate.
pub fn resolve(modules: &Modules, from: &Place, path: &[String]) -> Option<Place> {
    Some(follow(modules, from, path, 16)?.0)
}

/// Whether an item is compiled for tests only.
pub fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string().replace(' ', "");
            condition == "test" || condition.starts_with("all(test,")
        }
        meta => meta.path().is_ident("test"),
    })
}

fn read(tree: &Tree, file: &str, folder: &str, place: Place, modules: &mut Modules) -> Result<(), String> {
    let text = tree.text(file).ok_or_else(|| format!("{file} is not there or is not UTF-8"))?;
    let parsed = syn::parse_file(text).map_err(|error| format!("{file}: {error}"))?;
    take(tree, &parsed.items, file, folder, place, modules)
}

/// Adds the module at `place` with `items`; its child modules' files lie in `folder`.
fn take(
    tree: &Tree,
    items: &[Item],
    file: &str,
    folder: &str,
    place: Place,
    modules: &mut Modules,
) -> Result<(), String> {
    let mut reader = Reader { module: Module { file: file.to_owned(), ..Module::default() } };
    for item in items {
        if let Item::Mod(child) = item {
            if for_tests(&child.attrs) {
                continue;
            }
            let name = child.ident.to_string();
            let inner = format!("{folder}/{name}");
            let mut at = place.clone();
            at.push(name);
            match &child.content {
                Some((_, items)) => take(tree, items, file, &inner, at, modules)?,
                None => {
                    let source = path_attribute(&child.attrs).map_or_else(
                        || {
                            let beside = format!("{inner}.rs");
                            if tree.text(&beside).is_some() { beside } else { format!("{inner}/mod.rs") }
                        },
                        |given| format!("{folder}/{given}"),
                    );
                    read(tree, &source, &inner, at, modules)?;
                }
            }
        } else {
            reader.visit_item(item);
        }
    }
    modules.insert(place, reader.module);
    Ok(())
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    })
}

struct Reader {
    module: Module,
}

impl Reader {
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| {
            let mut path = before.to_vec();
            if name != "self" || path.is_empty() {
                path.push(name.to_string());
            }
            path
        };
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
            UseTree::Glob(glob) => {
                self.refer(before.to_vec(), glob.star_token.spans[0]);
                self.module.globs.push(before.to_vec());
            }
            UseTree::Name(name) => self.bring(with(&name.ident), None, name.ident.span()),
            UseTree::Rename(rename) => {
                self.bring(with(&rename.ident), Some(rename.rename.to_string()), rename.ident.span());
            }
        }
    }

    fn bring(&mut self, path: Vec<String>, renamed: Option<String>, span: proc_macro2::Span) {
        if let Some(name) = renamed.or_else(|| path.last().cloned()) {
            self.module.imports.insert(name, path.clone());
        }
        self.refer(path, span);
    }

    fn refer(&mut self, path: Vec<String>, span: proc_macro2::Span) {
        self.module.references.push((path, span.start().line));
    }

    /// Paths with at least one `::` in the tokens of a macro call.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut start = proc_macro2::Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if path.is_empty() || colons == 2 => {
                    if path.is_empty() {
                        start = name.span();
                    }
                    path.push(name.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(name) => {
                    self.leave(std::mem::take(&mut path), start);
                    start = name.span();
                    path.push(name.to_string());
                }
                TokenTree::Group(group) => {
                    self.leave(std::mem::take(&mut path), start);
                    self.scan(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.leave(std::mem::take(&mut path), start),
            }
            colons = 0;
        }
        self.leave(path, start);
    }

    fn leave(&mut self, path: Vec<String>, start: proc_macro2::Span) {
        if path.len() > 1 {
            self.refer(path, start);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name): (&[Attribute], Option<&syn::Ident>) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Impl(item) => (&item.attrs, None),
            Item::Use(item) => (&item.attrs, None),
            _ => (&[], None),
        };
        if for_tests(attributes) {
            return;
        }
        if let Some(name) = name {
            self.module.defines.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {} // `pub(in crate::x)` refers to nothing

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_none() && names.len() > 1 {
            let span = path.segments[0].ident.span();
            self.refer(names, span);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.scan(called.tokens.clone());
    }
}

/// The module, and the item in it if the path names one. `depth` re-exports are followed.
fn follow(modules: &Modules, from: &Place, path: &[String], depth: usize) -> Option<(Place, Option<String>)> {
    let depth = depth.checked_sub(1)?;
    let mut at = from.clone();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        // A bare name is of this module, or of another crate.
        first => {
            let module = modules.get(&at)?;
            let mut child = at.clone();
            child.push(first.to_owned());
            let known = modules.contains_key(&child)
                || module.defines.contains(first)
                || module.imports.get(first).is_some_and(|target| target.first() != rest.first());
            if !known {
                return None;
            }
        }
    }
    while let Some(name) = rest.first() {
        let mut child = at.clone();
        child.push(name.clone());
        if modules.contains_key(&child) {
            at = child;
            rest = &rest[1..];
            continue;
        }
        let module = modules.get(&at)?;
        if module.defines.contains(name) {
            return Some((at, Some(name.clone())));
        }
        if let Some(target) = module.imports.get(name).filter(|target| *target != rest) {
            let whole: Vec<String> = target.iter().chain(&rest[1..]).cloned().collect();
            return follow(modules, &at, &whole, depth);
        }
        for glob in &module.globs {
            let whole: Vec<String> = glob.iter().chain(rest).cloned().collect();
            if let Some((place, Some(item))) = follow(modules, &at, &whole, depth)
                && modules.get(&place).is_some_and(|module| module.defines.contains(&item))
            {
                return Some((place, Some(item)));
            }
        }
        return Some((at, Some(name.clone())));
    }
    Some((at, None))
}
