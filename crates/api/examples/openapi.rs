//! Prints the OpenAPI document of the API, for `cargo xtask openapi`.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

fn main() {
    let document = breezeway_api::document();
    println!("{}", document.to_pretty_json().expect("the document is plain data"));
}
