//! Text, tables and pictures → an HTML document that stands alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use htmlize::{escape_attribute, escape_text};

/// A page that stands alone: `title` is plain text, `body` is HTML.
#[must_use]
pub fn document(title: &str, body: &str) -> String {
    let title = escape_text(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}</body></html>\n"
    )
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#22262e;background:#fafaf8;margin:2rem auto;\
max-width:1440px;padding:0 1rem}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid #dadce0;\
padding-top:1rem}img{max-width:100%;height:auto;border:1px solid #dadce0}table{border-collapse:collapse;margin:1rem 0}\
td,th{text-align:left;padding:.25rem .9rem .25rem 0;border-bottom:1px solid #dadce0;vertical-align:top}\
.bad{color:#be342c;font-weight:600}.good{color:#188056}.faint{color:#8c929c}";

/// A table: the heads and the cells are HTML already.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::from("<table>");
    if head.iter().any(|cell| !cell.is_empty()) {
        text.push_str("<tr>");
        for cell in head {
            text.push_str(&format!("<th>{cell}</th>"));
        }
        text.push_str("</tr>");
    }
    for row in rows {
        text.push_str("<tr>");
        for cell in row {
            text.push_str(&format!("<td>{cell}</td>"));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table>\n");
    text
}

/// A PNG inside the page.
#[must_use]
pub fn image(png: &[u8], alt: &str) -> String {
    format!("<img alt=\"{}\" src=\"data:image/png;base64,{}\">", escape_attribute(alt), STANDARD.encode(png))
}
