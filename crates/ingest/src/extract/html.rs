//! Web pages as Markdown, without what surrounds the text.

use std::rc::Rc;

use breezeway_knowledge::Document;
use htmd::{
    Element, HtmlToMarkdown, Node,
    element_handler::Handlers,
    options::{BulletListMarker, Options},
};
use serde_json::Value;

use super::{ExtractError, text};

mod hidden;

/// Elements inside elements. Pages made by people stay below a hundred; the converter recurses.
const DEEPEST: usize = 512;

/// Never text of the page.
const MACHINERY: [&str; 13] = [
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "select",
    "button", "head", "dialog",
];

/// Text of every page of a site.
const SURROUNDINGS: [&str; 2] = ["nav", "footer"];

/// Marks that interrupt phrases and say nothing to a search.
const INLINE: [&str; 10] = ["a", "strong", "b", "em", "i", "u", "s", "small", "mark", "abbr"];

pub(super) fn read(bytes: &[u8]) -> Result<Document, ExtractError> {
    let html = text::markup(bytes);
    let mut document = Document { text: markdown(&html)?, ..Document::default() };
    if let Some(title) = title(&html) {
        document.metadata.insert("title".to_owned(), Value::String(title));
    }
    Ok(document)
}

/// A page's text as Markdown; empty if there is none.
pub(super) fn markdown(html: &str) -> Result<String, ExtractError> {
    if !html.contains('<') {
        // A text that calls itself a page. As a page it would lose its lines.
        return Ok(text::normalized(html.into()));
    }
    let too_deep = || ExtractError::Limit(format!("{DEEPEST} elements inside one another"));
    if is_abyss(html) {
        return Err(too_deep());
    }
    let lean = converter(true);
    let tree = lean
        .html_to_tree(html)
        .map_err(|_| ExtractError::Damaged("The web page is damaged and cannot be read.".to_owned()))?;
    if depth(&tree) > DEEPEST {
        return Err(too_deep());
    }
    hidden::prune(&tree);
    let mut markdown = lean.tree_to_markdown(&tree);
    if markdown.trim().is_empty() {
        // A page that is all navigation is still what was uploaded.
        markdown = converter(false).tree_to_markdown(&tree);
    }
    Ok(text::normalized(tidy(&markdown).into()))
}

fn converter(without_surroundings: bool) -> HtmlToMarkdown {
    let options = Options {
        bullet_list_marker: BulletListMarker::Dash,
        ul_bullet_spacing: 1,
        ol_number_spacing: 1,
        ..Options::default()
    };
    let mut builder = HtmlToMarkdown::builder()
        .options(options)
        .skip_tags(MACHINERY.to_vec())
        .skip_tags(vec!["img"])
        .add_handler(INLINE.to_vec(), |handlers: &dyn Handlers, element: Element<'_>| {
            Some(handlers.walk_children(element.node))
        });
    if without_surroundings {
        builder = builder.skip_tags(SURROUNDINGS.to_vec());
    }
    builder.build()
}

/// How deep the tree is, counted without recursion and no further than necessary.
fn depth(root: &Rc<Node>) -> usize {
    let mut deepest = 0;
    let mut open = vec![(root.clone(), 0)];
    while let Some((node, depth)) = open.pop() {
        deepest = deepest.max(depth);
        if depth > DEEPEST {
            break;
        }
        open.extend(node.children.borrow().iter().map(|child| (child.clone(), depth + 1)));
    }
    deepest
}

/// Elements whose end tag may be left out or does not exist; they do not add up to depth.
const SELF_CLOSING: [&str; 31] = [
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "optgroup", "rb", "rt",
    "rp", "br", "hr", "img", "input", "meta", "link", "area", "base", "col", "colgroup", "embed", "source",
    "track", "wbr", "html", "body",
];

/// Whether far more elements are opened than closed. The tree builder needs time quadratic in the
/// depth, so depth has to be told before there is a tree.
fn is_abyss(html: &str) -> bool {
    let mut open = 0_usize;
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        rest = tag;
        if tag.starts_with("!--") {
            rest = after(tag, "-->");
        } else if let Some(name) = tag.strip_prefix('/') {
            open = open.saturating_sub(usize::from(name.starts_with(is_letter)));
        } else if tag.starts_with(is_letter) {
            let end = tag.find(|sign: char| !sign.is_ascii_alphanumeric()).unwrap_or(tag.len());
            let name = &tag[..end];
            let is = |known: &&str| known.eq_ignore_ascii_case(name);
            if ["script", "style"].iter().any(is) {
                // Programs write tags that are none. Their own end tag may be in any case, but then
                // the scan only counts more than there is.
                rest = after(tag, &format!("</{name}"));
            } else if !SELF_CLOSING.iter().any(is) {
                open += 1;
            }
        }
        if open > DEEPEST * 4 {
            return true;
        }
    }
    false
}

fn is_letter(sign: char) -> bool {
    sign.is_ascii_alphabetic()
}

/// What follows the first `mark` in `text`; `text` itself if there is none.
fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or(text, |(_, rest)| rest)
}

/// The page's title. Looked for in the text, since the converter leaves the head out.
fn title(html: &str) -> Option<String> {
    let head = &html[..html.floor_char_boundary(64 << 10)];
    let lower = head.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let title = text::one_line(&head[start..end]);
    let title = title.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    let title = title.replace("&nbsp;", " ").replace("&amp;", "&");
    (!title.is_empty()).then_some(title)
}

/// Make Markdown for readers and searches out of Markdown for renderers: without padded table
/// cells, without runs of empty lines, and without the backslashes that keep signs from meaning
/// something. At the start of a line those stay, or a hash would become a heading.
fn tidy(markdown: &str) -> String {
    let mut plain = String::with_capacity(markdown.len());
    let mut in_code = false;
    let mut empty_lines = 0;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            plain.push_str(line);
        } else if line.trim().is_empty() {
            empty_lines += 1;
            if empty_lines > 1 {
                continue;
            }
        } else if line.starts_with('|') {
            let is_rule = line.bytes().all(|byte| matches!(byte, b'|' | b'-' | b' '));
            let short = |cell| if is_rule && cell != "|" { "---" } else { cell };
            plain.extend(line.split_whitespace().flat_map(|cell| [short(cell), " "]));
            plain.pop();
        } else {
            unescape(line.trim_end(), &mut plain);
        }
        if in_code || !line.trim().is_empty() {
            empty_lines = 0;
        }
        plain.push('\n');
    }
    plain.truncate(plain.trim_end().len());
    plain
}

fn unescape(line: &str, out: &mut String) {
    let mut signs = line.chars().peekable();
    let mut begun = false;
    while let Some(sign) = signs.next() {
        if begun && sign == '\\' && signs.peek().is_some_and(char::is_ascii_punctuation) {
            out.extend(signs.next());
        } else {
            out.push(sign);
        }
        begun |= !sign.is_whitespace();
    }
}
