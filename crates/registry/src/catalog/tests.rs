use breezeway_core::Clock;
use serde_json::Map;

use super::*;
use crate::{FleetConfig, ScriptedUpstream, conformance::overlay};

fn catalogue(ids: &[&str]) -> Vec<Arc<CatalogEntry>> {
    let entry = |id: &&str| CatalogEntry {
        id: id.to_string(),
        name: id.to_string(),
        created: 0,
        details: Map::new(),
        loaded_until: None,
    };
    ids.iter().map(entry).map(Arc::new).collect()
}

fn connection(kind: ConnectionKind, index: usize, prefix: Option<&str>) -> Arc<Line> {
    let prefix = prefix.map(str::to_owned);
    let connection = Connection { prefix, ..Connection::new(kind, index, format!("http://{index}.test")) };
    let upstream = Arc::new(ScriptedUpstream::default());
    Arc::new(Line::new(connection, Some(upstream), &FleetConfig::default()))
}

fn merge(
    catalogues: &[(Arc<Line>, Vec<Arc<CatalogEntry>>)],
    overlays: Vec<Overlay>,
    order: &[&str],
) -> Listing {
    let order: Vec<_> = order.iter().map(|&id| id.to_owned()).collect();
    let catalogues = catalogues.iter().map(|(line, entries)| (line, entries.as_slice()));
    let fleets = Arc::new(Shared::new(FleetConfig::default(), Clock::system()));
    let setting = Setting { order: &order, aliases: &[], fleets: &fleets };
    Listing::merge(catalogues, &Arc::new(overlays.into_iter().map(Arc::new).collect()), setting)
}

fn ids(shelf: &Shelf) -> Vec<&str> {
    shelf.iter().map(|listed| listed.model.id.as_str()).collect()
}

#[test]
fn openai_models_come_first_then_ollamas_then_custom_ones() {
    let catalogues = [
        (connection(ConnectionKind::Ollama, 0, None), catalogue(&["llama3.2:latest"])),
        (connection(ConnectionKind::OpenAi, 0, None), catalogue(&["z-large", "a-small"])),
        (connection(ConnectionKind::OpenAi, 1, Some("b")), catalogue(&["chat"])),
    ];

    let listing = merge(&catalogues, vec![overlay("aide", Some("z-large"), 1)], &[]);

    assert_eq!(ids(&listing.offered), ["z-large", "a-small", "b.chat", "llama3.2:latest", "aide"]);
    assert_eq!(ids(&listing.bases), ["z-large", "a-small", "b.chat", "llama3.2:latest"]);
}

#[test]
fn a_configured_order_goes_before_everything() {
    let catalogues = [(connection(ConnectionKind::OpenAi, 0, None), catalogue(&["a", "b", "c"]))];

    let listing = merge(&catalogues, vec![overlay("aide", Some("a"), 1)], &["aide", "missing", "c", "aide"]);

    assert_eq!(ids(&listing.offered), ["aide", "c", "a", "b"]);
    assert_eq!(listing.offered.find("b").unwrap().model.id.as_str(), "b");
    assert_eq!(listing.offered.find("aide").unwrap().model.id.as_str(), "aide");
}

#[test]
fn an_id_at_two_connections_is_one_model_with_two_offers() {
    let catalogues = [
        (connection(ConnectionKind::OpenAi, 0, None), catalogue(&["same", "same", "first"])),
        (connection(ConnectionKind::OpenAi, 1, None), catalogue(&["same"])),
    ];

    let listing = merge(&catalogues, Vec::new(), &[]);

    assert_eq!(ids(&listing.offered), ["same", "first"]);
    let model = &listing.offered.find("same").unwrap().model;
    let at: Vec<_> = model.offers.iter().map(|offer| offer.connection.index).collect();
    assert_eq!(at, [0, 1]);
    assert_eq!(model.shown().unwrap().connection.index, 1);
}

#[test]
fn an_id_of_both_kinds_is_listed_once_and_found_at_each() {
    let catalogues = [
        (connection(ConnectionKind::OpenAi, 0, None), catalogue(&["same:latest", "other"])),
        (connection(ConnectionKind::Ollama, 0, None), catalogue(&["same:latest"])),
    ];

    let listing = merge(&catalogues, Vec::new(), &[]);

    assert_eq!(ids(&listing.offered), ["same:latest", "other"]);
    let kind = |shelf: &Shelf| shelf.find("same").unwrap().model.offers[0].connection.kind;
    assert_eq!(kind(&listing.offered), ConnectionKind::Ollama);
    assert_eq!(kind(listing.of_kind(ConnectionKind::OpenAi)), ConnectionKind::OpenAi);
}

#[test]
fn a_switched_off_override_hides_its_model_and_what_is_made_of_it() {
    let catalogues = [(connection(ConnectionKind::OpenAi, 0, None), catalogue(&["gone", "kept"]))];
    let off = Overlay { active: false, ..overlay("gone", None, 1) };
    let custom = overlay("aide", Some("gone"), 2);

    let listing = merge(&catalogues, vec![off, custom], &[]);

    assert_eq!(ids(&listing.offered), ["kept"]);
    assert_eq!(ids(&listing.bases), ["gone", "kept"]);
}

#[test]
fn an_override_names_the_model_and_may_leave_out_the_latest_tag() {
    let catalogues = [(
        connection(ConnectionKind::Ollama, 0, None),
        catalogue(&["llama3.2:latest", "llama3.2:1b", "qwen:latest"]),
    )];
    let exact = overlay("qwen:latest", None, 1);
    let (short, shadowed) = (overlay("llama3.2", None, 2), overlay("qwen", None, 3));

    let listing = merge(&catalogues, vec![exact, short, shadowed], &[]);

    let name = |id: &str| listing.offered.find(id).unwrap().model.name.clone();
    assert_eq!(name("llama3.2:latest"), "The llama3.2");
    assert_eq!(name("llama3.2:1b"), "llama3.2:1b");
    assert_eq!(name("qwen"), "The qwen:latest");
}

#[test]
fn a_custom_model_takes_the_place_of_an_upstreams_of_its_id() {
    let catalogues = [(connection(ConnectionKind::OpenAi, 0, None), catalogue(&["gpt", "base"]))];

    let listing = merge(&catalogues, vec![overlay("gpt", Some("base"), 1)], &[]);

    assert_eq!(ids(&listing.offered), ["gpt", "base"]);
    let model = &listing.offered.find("gpt").unwrap().model;
    assert!(model.is_custom());
    assert_eq!(model.offers[0].entry.id, "base");
}

#[test]
fn only_names_without_a_tag_get_one() {
    assert_eq!(with_latest("llama3.2").as_deref(), Some("llama3.2:latest"));
    assert_eq!(with_latest("host:5000/library/llama").as_deref(), Some("host:5000/library/llama:latest"));
    assert_eq!(with_latest("llama3.2:1b"), None);
    assert_eq!(with_latest("x/llama:1b"), None);
    assert_eq!(with_latest(""), None);
}

#[test]
fn ids_that_could_not_be_asked_for_are_left_out() {
    let long = "x".repeat(600);
    let catalogues = [(connection(ConnectionKind::OpenAi, 0, None), catalogue(&["", &long, "fine"]))];

    let listing = merge(&catalogues, Vec::new(), &[]);

    assert_eq!(ids(&listing.offered), ["fine"]);
}
