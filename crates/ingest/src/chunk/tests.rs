use breezeway_knowledge::Section;
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation as _;

use super::*;

fn document(text: &str) -> Document {
    Document { text: text.to_owned(), ..Document::default() }
}

fn texts(text: &str, plan: &ChunkPlan) -> Vec<String> {
    cut(&document(text), TextKind::Prose, plan).into_iter().map(|chunk| chunk.text).collect()
}

fn plan(size: usize, overlap: usize) -> ChunkPlan {
    ChunkPlan { size, overlap, ..ChunkPlan::default() }
}

#[test]
fn a_short_text_is_one_chunk_without_the_space_around_it() {
    let found = cut(&document("\n Parcel 8302 left Turin.\n"), TextKind::Prose, &ChunkPlan::default());

    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, "Parcel 8302 left Turin.");
    assert_eq!((found[0].start, found[0].end), (2, 25));
    assert_eq!(found[0].hash, ChunkHash::of("Parcel 8302 left Turin."));
}

#[test]
fn text_without_any_break_is_cut_at_its_length_with_the_overlap() {
    let starts: Vec<usize> = cut(&document(&"x".repeat(2500)), TextKind::Prose, &ChunkPlan::default())
        .into_iter()
        .map(|chunk| chunk.start)
        .collect();

    assert_eq!(starts, [0, 900, 1800]);
}

#[test]
fn blank_text_has_no_chunks() {
    assert_eq!(texts("", &ChunkPlan::default()), [""; 0]);
    assert_eq!(texts(" \n\n\t ", &ChunkPlan::default()), [""; 0]);
}

#[test]
fn the_deepest_break_ends_a_chunk() {
    assert_eq!(texts("one two three\n\nfour five six", &plan(20, 0)), ["one two three", "four five six"]);
    assert_eq!(texts("one two three\nfour five six", &plan(20, 0)), ["one two three", "four five six"]);
    assert_eq!(texts("One two three. Four five six.", &plan(20, 0)), ["One two three.", "Four five six."]);
    assert_eq!(texts("one two three four five six", &plan(20, 0)), ["one two three four", "five six"]);
    assert_eq!(
        texts("駅はどこですか。市場の近くです。", &plan(10, 0)),
        ["駅はどこですか。", "市場の近くです。"]
    );
}

#[test]
fn an_overlap_begins_at_a_word_or_not_at_all() {
    assert_eq!(texts("one two three four five six", &plan(20, 6)), ["one two three four", "four five six"]);
    assert_eq!(texts("one two three\n\nfour five six", &plan(20, 6)), ["one two three", "four five six"]);
}

#[test]
fn headings_begin_chunks_and_are_remembered_below() {
    let text = "intro\n# Trams\n## Lines\nLine 4\n### Late ###\nVery\n## Fares\nTwo euros\n# Boats\nNone";

    let found = cut(&document(text), TextKind::Prose, &ChunkPlan::default());

    let found: Vec<(&str, String)> =
        found.iter().map(|chunk| (chunk.text.as_str(), chunk.headings.join("/"))).collect();
    assert_eq!(
        found,
        [
            ("intro", String::new()),
            ("# Trams\n## Lines\nLine 4", "Trams/Lines".to_owned()),
            ("### Late ###\nVery", "Trams/Lines/Late".to_owned()),
            ("## Fares\nTwo euros", "Trams/Fares".to_owned()),
            ("# Boats\nNone", "Boats".to_owned()),
        ]
    );
}

#[test]
fn a_hash_is_no_heading_in_code_in_fences_or_without_a_space() {
    let text = "a\n# one\nb\n";

    assert_eq!(cut(&document(text), TextKind::Code, &ChunkPlan::default()).len(), 1);
    assert_eq!(cut(&document(text), TextKind::Data, &ChunkPlan::default()).len(), 1);
    assert_eq!(texts(text, &ChunkPlan { by_heading: false, ..ChunkPlan::default() }).len(), 1);
    assert_eq!(
        texts("a\n```sh\n# one\n```\nb\n#two\n####### three\n    # four", &ChunkPlan::default()).len(),
        1
    );
}

#[test]
fn a_document_of_nothing_but_headings_does_not_explode() {
    let found = cut(&document(&"# a\nb\n".repeat(200_000)), TextKind::Prose, &ChunkPlan::default());

    assert!(found.len() < 101_000, "{}", found.len());
}

#[test]
fn sections_are_never_crossed() {
    let mut pages = document("one\n\ntwo");
    let section = |start, end, page| Section { start, end, page: Some(page), page_label: None, title: None };
    pages.sections = vec![section(0, 5, 0), section(5, 8, 1)];

    let found = cut(&pages, TextKind::Prose, &ChunkPlan { min_size: 100, ..ChunkPlan::default() });

    let found: Vec<_> = found.iter().map(|chunk| (chunk.text.as_str(), chunk.page)).collect();
    assert_eq!(found, [("one", Some(0)), ("two", Some(1))]);
}

#[test]
fn short_chunks_join_their_neighbours_as_far_as_they_fit() {
    let text = "# A\none\n# B\ntwo\n# C\nthree and some more words";

    let merged = texts(text, &ChunkPlan { size: 30, min_size: 10, overlap: 0, ..ChunkPlan::default() });

    assert_eq!(merged, ["# A\none\n# B\ntwo", "# C\nthree and some more words"]);
}

#[test]
fn a_title_of_a_section_is_above_its_headings() {
    let mut sheets = document("[a.md]\n\n# Trams\none\n\n## Boats\n\ntwo\n\nthree");
    let section = |start, end, title: Option<&str>| Section {
        start,
        end,
        page: None,
        page_label: None,
        title: title.map(str::to_owned),
    };
    sheets.sections =
        vec![section(0, 21, Some("a.md")), section(21, 36, Some("Boats")), section(36, 41, None)];

    let found = cut(&sheets, TextKind::Prose, &ChunkPlan::default());

    let found: Vec<_> = found.iter().map(|chunk| (chunk.text.as_str(), chunk.headings.join("/"))).collect();
    assert_eq!(
        found,
        [
            ("[a.md]", "a.md".to_owned()),
            ("# Trams\none", "a.md/Trams".to_owned()),
            ("## Boats\n\ntwo", "Boats".to_owned()),
            ("three", "Boats".to_owned()),
        ]
    );
}

#[test]
fn code_is_cut_between_what_stands_at_the_start_of_a_line() {
    let text = "fn one() {\n    a();\n\n    b();\n}\n\nfn two() {\n    c();\n}\n";

    let cut_as = |kind| -> Vec<String> {
        cut(&document(text), kind, &plan(42, 0)).into_iter().map(|chunk| chunk.text).collect()
    };

    assert_eq!(cut_as(TextKind::Code), ["fn one() {\n    a();\n\n    b();\n}", "fn two() {\n    c();\n}"]);
}

#[test]
fn sizes_can_be_counted_in_tokens() {
    let by_words = |text: &str| -> Vec<usize> {
        text.char_indices().filter(|(_, sign)| *sign == ' ').map(|(at, _)| at).chain([text.len()]).collect()
    };
    let plan = ChunkPlan { size: 4, overlap: 2, measure: Measure::Tokens, ..ChunkPlan::default() };

    let found = cut_by_tokens(&document("one two six ten ace oak"), TextKind::Prose, &plan, &by_words);

    let found: Vec<&str> = found.iter().map(|chunk| chunk.text.as_str()).collect();
    assert_eq!(found, ["one two six ten", "six ten ace oak"]);
}

#[test]
fn an_estimate_of_tokens_is_near_what_models_count() {
    for (text, tokens) in
        [("", 0), ("the cat", 2), ("internationalization", 4), ("12345", 2), ("a, b.", 4), ("日本語", 3)]
    {
        assert_eq!(estimated_tokens(text).len(), tokens, "{text}");
    }
}

#[test]
fn line_ends_become_spaces_in_the_text_that_is_embedded() {
    let found = cut(&document("one\ntwo"), TextKind::Prose, &ChunkPlan::default());

    assert_eq!(embedded_text(&found[0]), "one two");
    assert_eq!(found[0].hash, ChunkHash::of("one two"));
    assert_eq!(found[0].text, "one\ntwo");
}

#[test]
fn sections_that_make_no_sense_do_no_harm() {
    let section = |start, end| Section { start, end, page: None, page_label: None, title: None };
    let broken = Document { sections: vec![section(9, 2), section(1, 999)], ..document("ééé") };

    cut(&broken, TextKind::Prose, &ChunkPlan::default());
}

/// Text with the things that make cutting hard.
fn awkward() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{1,12}",
        2 => Just(" ".to_owned()),
        1 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just(". ".to_owned()),
        1 => Just("# ".to_owned()),
        1 => Just("```\n".to_owned()),
        1 => Just("e\u{301}".to_owned()),
        1 => Just("\u{301}".to_owned()),
        1 => Just("👩‍👩‍👧".to_owned()),
        1 => Just("🇩🇪".to_owned()),
        1 => Just("日本。".to_owned()),
        1 => Just("\u{2003}".to_owned()),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn chunks_are_slices_in_order_within_the_size_and_lose_nothing(
        text in awkward(), size in 0_usize..60, overlap in 0_usize..70, min_size in 0_usize..40, by_heading: bool,
        tokens: bool, kind in prop::sample::select(vec![TextKind::Prose, TextKind::Code, TextKind::Data]),
    ) {
        let measure = if tokens { Measure::Tokens } else { Measure::Characters };
        let plan = ChunkPlan { size, overlap, min_size, by_heading, measure };

        let found = cut(&document(&text), kind, &plan);
        let ends = estimated_tokens(&text);

        let mut covered = 0;
        let mut last_start = None;
        for chunk in &found {
            prop_assert_eq!(&chunk.text, &text[chunk.start..chunk.end]);
            prop_assert!(!chunk.text.trim().is_empty());
            let length = if tokens {
                ends.iter().filter(|&&end| chunk.start < end && end < chunk.end).count() + 1
            } else {
                chunk.text.chars().count()
            };
            prop_assert!(length <= size.max(1), "{length}");
            prop_assert!(last_start.is_none_or(|last| chunk.start > last));
            prop_assert!(chunk.end > covered, "every chunk brings something new");
            if chunk.start > covered {
                prop_assert!(text[covered..chunk.start].trim().is_empty(), "nothing is lost");
            }
            (covered, last_start) = (chunk.end, Some(chunk.start));
        }
        prop_assert!(text[covered..].trim().is_empty(), "nothing is lost at the end");
    }

    #[test]
    fn no_sign_is_divided_unless_it_is_longer_than_a_chunk(text in awkward(), size in 20_usize..60, overlap in 0_usize..30) {
        let longest = text.graphemes(true).map(|sign| sign.chars().count()).max().unwrap_or(0);
        prop_assume!(longest <= size / 2);
        let boundaries: Vec<usize> =
            text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();

        for chunk in cut(&document(&text), TextKind::Data, &plan(size, overlap)) {
            prop_assert!(boundaries.binary_search(&chunk.start).is_ok(), "begin {}", chunk.start);
            prop_assert!(boundaries.binary_search(&chunk.end).is_ok(), "end {}", chunk.end);
        }
    }
}
