//! Jupyter notebooks: the cells' sources and textual outputs, without the pictures.

use breezeway_knowledge::Document;
use serde_json::Value;

use super::{ExtractError, Limits, text, text_limit};

pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Document, ExtractError> {
    let document = text::read(bytes)?;
    let Ok(notebook) = serde_json::from_str::<Value>(&document.text) else {
        return Err(ExtractError::Damaged("The notebook is damaged: it is not valid JSON.".to_owned()));
    };
    let language = notebook
        .pointer("/metadata/kernelspec/language")
        .or_else(|| notebook.pointer("/metadata/language_info/name"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut out = String::new();
    for cell in notebook.get("cells").and_then(Value::as_array).into_iter().flatten() {
        let source = joined(cell.get("source"));
        match cell.get("cell_type").and_then(Value::as_str) {
            Some("code") => {
                fenced(language, &source, &mut out);
                for output in cell.get("outputs").and_then(Value::as_array).into_iter().flatten() {
                    let printed = output.get("text").or_else(|| output.pointer("/data/text~1plain"));
                    fenced("", &joined(printed), &mut out);
                }
            }
            _ => {
                out.push_str(source.trim_end());
                out.push_str("\n\n");
            }
        }
        if out.len() as u64 > limits.text_bytes {
            return Err(text_limit(limits.text_bytes));
        }
    }
    out.truncate(out.trim_end().len());
    Ok(Document { text: out, ..Document::default() })
}

/// Notebooks keep text as one string or as a list of lines.
fn joined(text: Option<&Value>) -> String {
    match text {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

fn fenced(language: &str, code: &str, out: &mut String) {
    if !code.trim().is_empty() {
        out.push_str("```");
        out.push_str(language);
        out.push('\n');
        out.push_str(code.trim_end());
        out.push_str("\n```\n\n");
    }
}
