use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: &[&str]) {
    assert_eq!(terms(text), expected, "terms of `{text}`");
}

#[test]
fn english_words_lose_case_endings_and_stop_words() {
    check("What are the Connections of a Gateway?", &["connect", "gateway"]);
    check("the user's files", &["user", "file"]);
    check("We can't, you don't, I\u{2019}m", &[]);
}

#[test]
fn a_compound_is_kept_beside_its_parts() {
    check("covid19", &["covid19", "covid", "19"]);
    check("parseHTTPResponse", &["parsehttprespons", "pars", "http", "respons"]);
    check("snake_case_name", &["snake_case_name", "snake", "case", "name"]);
    check("example.com", &["example.com", "exampl", "com"]);
    check("PDFs", &["pdfs"]);
    check("l'homme", &["l'homme", "l", "homm"]);
}

#[test]
fn numbers_are_found_with_and_without_separators() {
    check("1,000,000 or 3.14", &["1000000", "3.14"]);
    check("12.03.2024", &["12.03.2024", "12", "03", "2024"]);
}

#[test]
fn accents_and_compatibility_forms_are_folded() {
    check("Łódź Straße ÆON", &["lodz", "strass", "aeon"]);
    check("\u{ff26}\u{ff35}\u{ff2c}\u{ff2c} \u{fb01}le", &["full", "file"]);
    check("co\u{ad}operation", &["cooper"]);
}

#[test]
fn cjk_runs_become_signs_and_pairs() {
    check("中文分词", &["中", "中文", "文", "文分", "分", "分词", "词"]);
    check("検索テスト", &["検", "検索", "索", "索テ", "テ", "テス", "ス", "スト", "ト"]);
    check("한국 A형", &["한", "한국", "국", "형"]);
    check("中。文", &["中", "文"]);
}

#[test]
fn scripts_without_spaces_become_groups_of_three() {
    check("ภาษาไทย", &["ภาษ", "าษา", "ษาไ", "าไท", "ไทย"]);
    check("ไทย", &["ไทย"]);
    check("ក", &["ក"]);
}

#[test]
fn each_script_has_its_stemmer() {
    check("красивые книги", &["красив", "книг"]);
    check("ёлка", &["елк"]);
    assert_eq!(terms("الكتاب"), terms("كتاب"));
    assert_eq!(terms("Ελλάδα"), terms("ελλαδα"));
}

#[test]
fn marks_that_are_vowels_stay() {
    check("हिन्दी में", &["हिन्दी", "में"]);
}

#[test]
fn stop_words_are_in_order() {
    assert!(stop_words::STOP_WORDS.is_sorted());
    assert_eq!(stop_words::STOP_WORDS.iter().collect::<HashSet<_>>().len(), stop_words::STOP_WORDS.len());
}

#[test]
fn the_index_sees_the_same_terms() {
    let text = "HTTP2 für 中文";
    let mut seen = Vec::new();

    Universal.token_stream(text).process(&mut |token| seen.push(token.text.clone()));

    assert_eq!(seen, terms(text));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_has_terms_of_bounded_length(text in "\\PC{0,60}") {
        for term in terms(&text) {
            prop_assert!(!term.is_empty() && term.len() <= LONGEST_TERM);
        }
    }

    #[test]
    fn case_does_not_matter_for_plain_words(text in "[a-z]{1,12}( [a-z]{1,12}){0,4}") {
        prop_assert_eq!(terms(&text), terms(&text.to_uppercase()));
    }
}
