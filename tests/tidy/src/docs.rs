//! No public item whose doc comment is empty of meaning.
//!
//! A doc comment is empty if nothing is left of it without filler ("the", "of it", "how many", "value", …) and without
//! the words of the item's own name. `/// The name.` on `name` is empty; `/// Shown on the display.` on `name` is not.

use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Visibility};

use crate::modules::for_tests;
use crate::tree::{Finding, Tree};

/// Words that say nothing by themselves.
const FILLER: &[&str] = &[
    "a", "above", "all", "an", "and", "are", "as", "at", "be", "below", "by", "each", "every", "for", "from", "has",
    "have", "here", "how", "in", "is", "it", "its", "itself", "many", "more", "much", "name", "named", "number", "of",
    "on", "one", "or", "other", "same", "see", "so", "such", "that", "the", "their", "them", "there", "these", "they",
    "thing", "this", "those", "to", "value", "was", "were", "what", "when", "where", "which", "who", "whose", "with",
];

/// Doc comments of public items that say nothing.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(&[".rs"]) {
        match syn::parse_file(text) {
            Ok(file) => {
                let mut reader = Reader { path, findings: Vec::new() };
                reader.visit_file(&file);
                findings.extend(reader.findings);
            }
            Err(error) => findings.push(Finding::new(path, error.span().start().line, error.to_string())),
        }
    }
    findings
}

struct Reader<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn judge(&mut self, attributes: &[Attribute], name: &Ident) {
        let comment = comment(attributes);
        if !comment.is_empty() && says_nothing(&comment, &name.to_string()) {
            let what = format!("the doc comment of {name} says nothing: {comment:?}");
            self.findings.push(Finding::new(self.path, name.span().start().line, what));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.sig.ident);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.ident);
        }
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.ident);
        }
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.ident);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.ident);
            for inner in &item.items {
                match inner {
                    syn::TraitItem::Fn(inner) => self.judge(&inner.attrs, &inner.sig.ident),
                    syn::TraitItem::Const(inner) => self.judge(&inner.attrs, &inner.ident),
                    syn::TraitItem::Type(inner) => self.judge(&inner.attrs, &inner.ident),
                    _ => {}
                }
            }
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.ident);
            for field in item.fields.iter().filter(|field| public(&field.vis)) {
                if let Some(name) = &field.ident {
                    self.judge(&field.attrs, name);
                }
            }
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.ident);
            for variant in &item.variants {
                self.judge(&variant.attrs, &variant.ident);
                for field in &variant.fields {
                    if let Some(name) = &field.ident {
                        self.judge(&field.attrs, name);
                    }
                }
            }
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.sig.ident);
        }
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        if public(&item.vis) {
            self.judge(&item.attrs, &item.ident);
        }
    }
}

fn public(visibility: &Visibility) -> bool {
    !matches!(visibility, Visibility::Inherited)
}

/// The doc comment's text, its lines joined by spaces.
fn comment(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn says_nothing(comment: &str, name: &str) -> bool {
    let own = words_of_name(name);
    !comment
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .any(|word| !FILLER.contains(&word.as_str()) && !own.iter().any(|part| same_word(part, &word)))
}

/// `snake_case` and `CamelCase` in lower-case words.
fn words_of_name(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && !name.contains('_')) {
            words.push(String::new());
        }
        if character != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Singular and plural are one word.
fn same_word(a: &str, b: &str) -> bool {
    a.trim_end_matches('s') == b.trim_end_matches('s')
}

#[cfg(test)]
mod tests {
    use super::says_nothing;

    #[test]
    fn a_comment_that_repeats_the_name_or_points_at_nothing_is_empty() {
        for (comment, name) in [
            ("It.", "door"),
            ("Of it.", "digest"),
            ("How many.", "count"),
            ("The name.", "name"),
            ("Which camera.", "Camera"),
            ("Digest of the bundle.", "bundle_digest"),
        ] {
            assert!(says_nothing(comment, name), "{comment}");
        }
    }

    #[test]
    fn one_word_with_meaning_is_enough() {
        for (comment, name) in
            [("In pixels.", "width"), ("How many people.", "count"), ("Shown on the display.", "name")]
        {
            assert!(!says_nothing(comment, name), "{comment}");
        }
    }
}
