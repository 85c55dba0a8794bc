//! Leaving out what a page hides from its readers.
//!
//! A text that nobody sees but a program is how instructions get into an answer. Only what an
//! element says itself is looked at: style sheets hide menus and tabs that readers do open.

use std::rc::Rc;

use htmd::Node;
use markup5ever_rcdom::NodeData;

/// Take hidden elements out of a tree, without recursion.
pub(super) fn prune(root: &Rc<Node>) {
    let mut open = vec![root.clone()];
    while let Some(node) = open.pop() {
        node.children.borrow_mut().retain(|child| !is_hidden(child));
        open.extend(node.children.borrow().iter().cloned());
    }
}

fn is_hidden(node: &Node) -> bool {
    let NodeData::Element { attrs, .. } = &node.data else { return false };
    attrs.borrow().iter().any(|attribute| match &*attribute.name.local {
        "hidden" => true,
        "style" => hides(&attribute.value),
        _ => false,
    })
}

/// Whether a style attribute makes an element invisible.
fn hides(style: &str) -> bool {
    let style: String = style.chars().filter(|sign| !sign.is_whitespace()).collect();
    let style = style.to_ascii_lowercase();
    if is_drawn_on_itself(&style) {
        return true;
    }
    style.split(';').any(|rule| {
        let Some((property, value)) = rule.split_once(':') else { return false };
        let value = value.trim_end_matches("!important");
        match property {
            "display" => value == "none",
            "visibility" => matches!(value, "hidden" | "collapse"),
            "opacity" | "font-size" => is_nothing(value),
            // Moved far off the page.
            "left" | "top" | "text-indent" | "margin-left" | "margin-top" => {
                value.strip_prefix('-').is_some_and(|value| leading_number(value) >= 999.0)
            }
            "clip" => matches!(value, "rect(0,0,0,0)" | "rect(0000)"),
            "color" => matches!(value, "transparent"),
            _ => false,
        }
    })
}

/// White on white, and any other colour on itself.
fn is_drawn_on_itself(style: &str) -> bool {
    let value = |wanted: &[&str]| {
        let mut rules = style.split(';').filter_map(|rule| rule.split_once(':'));
        rules.find(|(property, _)| wanted.contains(property)).map(|(_, value)| value)
    };
    value(&["color"]).is_some_and(|colour| value(&["background", "background-color"]) == Some(colour))
}

fn is_nothing(value: &str) -> bool {
    value.starts_with(|sign: char| sign.is_ascii_digit() || sign == '.') && leading_number(value) == 0.0
}

fn leading_number(value: &str) -> f64 {
    let end = value.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(value.len());
    value[..end].parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_that_hide_are_told_from_those_that_do_not() {
        for style in [
            "display:none",
            "color: red; DISPLAY : none !important",
            "visibility: hidden",
            "opacity:0",
            "opacity: 0.0",
            "font-size:0px",
            "position:absolute; left:-9999px",
            "text-indent: -5000em",
            "color: transparent",
            "color: #FFF; background-color: #fff",
        ] {
            assert!(hides(style), "{style}");
        }
        for style in [
            "",
            "display: block",
            "opacity: 0.5",
            "font-size: 0.8em",
            "left: -12px",
            "line-height: normal",
            "background: url(a;b)",
            "color: #fff",
        ] {
            assert!(!hides(style), "{style}");
        }
    }
}
