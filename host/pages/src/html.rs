//! Text, tables and pictures → an HTML document that stands alone. Text is escaped where it is put in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A page that needs no other file.
#[must_use]
pub fn document(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (body)
            }
        }
    };
    page.into_string()
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#22262e;background:#fafaf8;margin:2rem auto;\
max-width:1440px;padding:0 1rem}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid #dadce0;\
padding-top:1rem}img{max-width:100%;height:auto;border:1px solid #dadce0}table{border-collapse:collapse;margin:1rem 0}\
td,th{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #dadce0;vertical-align:top}\
.bad{color:#be342c;font-weight:600}.good{color:#188056}.faint{color:#8c929c}";

/// A table. Heads that are all empty are left out.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table {
            @if head.iter().any(|cell| !cell.is_empty()) {
                tr { @for cell in head { th { (cell) } } }
            }
            @for row in rows {
                tr { @for cell in row { td { (cell) } } }
            }
        }
    }
}

/// A cell with a text.
#[must_use]
pub fn cell(text: impl AsRef<str>) -> Markup {
    html! { (text.as_ref()) }
}

/// A table's row of two cells: what it is, and how much.
#[must_use]
pub fn row(what: &str, value: impl AsRef<str>) -> Vec<Markup> {
    vec![cell(what), cell(value)]
}

/// A PNG inside the page.
#[must_use]
pub fn image(png: &[u8], alt: &str) -> Markup {
    let source = format!("data:image/png;base64,{}", STANDARD.encode(png));
    html! { img alt=(alt) src=(source); }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_called_stays_text() {
        let name = "<script>alert(\"x\")</script> & 'Ada'";
        let page = document(name, &html! { (table(&["who", ""], &[row(name, name)])) (image(&[1], name)) });
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; 'Ada'").count(), 5, "{page}");
    }
}
