//! Collections as models: `knowledge:<name>` asks a base model with the collection attached.
//!
//! What such a model is called depends on who asks: names of collections are not unique, and a name must
//! not tell that somebody else has a collection of that name. Ids are; `knowledge:<id>` always works.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use breezeway_core::{CollectionId, Grants, ModelId, Permission, Principal, UnixTime, UserId};
use serde_json::{Map, Value, json};

use super::{Registry, Route, State};
use crate::{Model, Overlay};

/// How the names of these models begin.
const PREFIX: &str = "knowledge:";

/// The longest name of a collection that becomes a model's, in bytes; others go by their ids.
const NAME_BYTES: usize = 256;

/// How many characters of an id tell two collections of one name apart.
const SUFFIX: usize = 8;

/// A collection that can be asked like a model.
#[derive(Clone, Debug)]
pub struct AskedCollection {
    /// Its id.
    pub id: CollectionId,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Whose it is.
    pub owner: UserId,
    /// Who else may read it.
    pub grants: Grants,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last changed.
    pub updated_at: UnixTime,
}

/// The collections that can be asked, and which model answers for them. The default is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    base: Option<ModelId>,
    /// In the order they were made.
    collections: Vec<AskedCollection>,
    by_id: HashMap<CollectionId, usize>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Registry {
    /// Offer these collections as models, and no others: `base`, a model or alias, answers for them.
    ///
    /// Who may read a collection may ask it, whether or not they may use the base by itself: whoever
    /// chose the base chose it for them. A key has to allow both the model, by the name listed or by
    /// `knowledge:<id>`, and the collection.
    pub fn offer_collections(&self, base: ModelId, mut collections: Vec<AskedCollection>) {
        collections.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        let mut desk = Desk { base: Some(base), ..Desk::default() };
        for (place, collection) in collections.iter().enumerate() {
            desk.by_id.insert(collection.id.clone(), place);
            if let Some(name) = name_of(collection) {
                desk.by_name.entry(name.to_owned()).or_default().push(place);
            }
        }
        self.desk.store(Desk { collections, ..desk });
    }

    /// The collections that the caller may ask, as models.
    pub(super) fn asked_models(&self, principal: &Principal, state: &State) -> Vec<Arc<Model>> {
        let desk = self.desk.load();
        let Some(route) = desk.base_route(state) else { return Vec::new() };
        let listed = desk.listed(principal);
        listed.into_iter().map(|(collection, id)| model(&route, collection, id)).collect()
    }

    /// Where a question to a collection goes; `None` if the name is not that of one the caller may ask.
    pub(super) fn asked_route(&self, principal: &Principal, state: &State, model: &str) -> Option<Route> {
        let rest = model.strip_prefix(PREFIX)?;
        let desk = self.desk.load();
        let (collection, id) = desk.find(principal, rest)?;
        Some(through(desk.base_route(state)?, collection, &id))
    }
}

impl Desk {
    fn base_route(&self, state: &State) -> Option<Route> {
        let base = self.base.as_ref()?.as_str();
        match state.listing.chains.find(base) {
            Some(chain) => chain.route(|_| true),
            None => state.route(state.listing.offered.find(base)?),
        }
    }

    /// The collections that the caller may ask, and what they are called, in the order they were made.
    fn listed(&self, principal: &Principal) -> Vec<(&AskedCollection, ModelId)> {
        let groups = self.by_name.iter();
        let mut names: HashMap<usize, String> =
            groups.flat_map(|(name, places)| self.called(principal, name, places)).collect();
        let readable = self.collections.iter().enumerate().filter(|(_, it)| is_readable(principal, it));
        readable
            .filter_map(|(place, collection)| {
                let name = names.remove(&place).unwrap_or_else(|| collection.id.to_string());
                Some((collection, model_id(&name)?))
            })
            .filter(|(collection, id)| is_allowed(principal, collection, id))
            .collect()
    }

    /// What those of the collections of one name are called that the caller may read.
    fn called(&self, principal: &Principal, name: &str, places: &[usize]) -> Vec<(usize, String)> {
        let mut taken = HashSet::new();
        let mut called = Vec::new();
        for place in self.readable(principal, places) {
            let id = &self.collections[place].id;
            let suffixed = format!("{name}-{}", suffix(id));
            called.push((
                place,
                match called.is_empty() {
                    true => name.to_owned(),
                    // It may be another collection's whole name, or the id may begin like another.
                    false if self.by_name.contains_key(&suffixed) || !taken.insert(suffixed.clone()) => {
                        id.to_string()
                    }
                    false => suffixed,
                },
            ));
        }
        called
    }

    /// The collection that the caller means by what stands behind the prefix, and the id it is listed by.
    fn find(&self, principal: &Principal, wanted: &str) -> Option<(&AskedCollection, ModelId)> {
        let place = self.place(principal, wanted)?;
        let collection = &self.collections[place];
        let named = name_of(collection).and_then(|name| {
            let called = self.called(principal, name, self.by_name.get(name)?);
            called.into_iter().find(|(other, _)| *other == place)
        });
        let id = model_id(named.as_ref().map_or(collection.id.as_str(), |(_, name)| name))?;
        is_allowed(principal, collection, &id).then_some((collection, id))
    }

    fn place(&self, principal: &Principal, wanted: &str) -> Option<usize> {
        if let Some(&place) = self.by_id.get(wanted)
            && is_readable(principal, &self.collections[place])
        {
            return Some(place);
        }
        if let Some(places) = self.by_name.get(wanted)
            && let Some(&first) = self.readable(principal, places).first()
        {
            return Some(first);
        }
        let (name, beginning) = wanted.rsplit_once('-').filter(|(_, id)| id.len() == SUFFIX)?;
        let others = self.readable(principal, self.by_name.get(name)?);
        others.into_iter().skip(1).find(|&place| suffix(&self.collections[place].id) == beginning)
    }

    /// Those of `places` that the caller may read: their own first, then in the order they were made. A
    /// collection that somebody shares must not come to be what a caller's own was.
    fn readable(&self, principal: &Principal, places: &[usize]) -> Vec<usize> {
        let mut readable: Vec<usize> = places
            .iter()
            .copied()
            .filter(|&place| is_readable(principal, &self.collections[place]))
            .collect();
        readable.sort_by_key(|&place| self.collections[place].owner != principal.user);
        readable
    }
}

fn name_of(collection: &AskedCollection) -> Option<&str> {
    let name = collection.name.trim();
    (1..=NAME_BYTES).contains(&name.len()).then_some(name)
}

fn suffix(id: &CollectionId) -> &str {
    let text = id.as_str();
    &text[..text.floor_char_boundary(SUFFIX)]
}

fn model_id(name: &str) -> Option<ModelId> {
    format!("{PREFIX}{name}").parse().ok()
}

/// Whether the account may read a collection. What its key allows is another question: names must not
/// depend on it.
fn is_readable(principal: &Principal, collection: &AskedCollection) -> bool {
    collection.grants.allow(principal, &collection.owner, Permission::Read)
}

fn is_allowed(principal: &Principal, collection: &AskedCollection, id: &ModelId) -> bool {
    let by_id = || model_id(collection.id.as_str()).is_some_and(|id| principal.key_allows_model(id.as_str()));
    principal.key_allows_collection(collection.id.as_str())
        && (principal.key_allows_model(id.as_str()) || by_id())
}

/// A route of the base, with the collection attached wherever it leads.
fn through(route: Route, collection: &AskedCollection, id: &ModelId) -> Route {
    let model = model(&route, collection, id.clone());
    let fallback = route.fallback.map(|next| Arc::new(through(Route::clone(&next), collection, id)));
    Route { overlay: model.overlay.clone(), model, fallback, ..route }
}

fn model(route: &Route, collection: &AskedCollection, id: ModelId) -> Arc<Model> {
    Arc::new(Model {
        id,
        name: collection.name.clone(),
        offers: route.model.offers.clone(),
        overlay: Some(Arc::new(overlay(route, collection))),
        rendered: Default::default(),
    })
}

/// The layer over the base: what the base's own has to say, and the collection. Who may read that is not
/// for everybody to know who may.
fn overlay(route: &Route, collection: &AskedCollection) -> Overlay {
    let below = route.overlay.as_deref();
    let mut meta = Map::new();
    meta.insert("description".into(), collection.description.as_str().into());
    if let Some(capabilities) = below.and_then(|overlay| overlay.meta.get("capabilities")) {
        meta.insert("capabilities".into(), capabilities.clone());
    }
    let attached = below.and_then(|overlay| overlay.meta.get("knowledge")?.as_array().cloned());
    let mut attached: Vec<Value> = attached.unwrap_or_default();
    attached.push(json!({"type": "collection", "id": collection.id.as_str(), "name": collection.name}));
    meta.insert("knowledge".into(), attached.into());
    Overlay {
        id: model_id(collection.id.as_str()).unwrap_or_else(|| route.model.id.clone()),
        owner: collection.owner.clone(),
        base: Some(route.model.id.clone()),
        name: collection.name.clone(),
        params: below.map(|overlay| overlay.params.clone()).unwrap_or_default(),
        meta,
        grants: Grants::default(),
        active: true,
        created_at: collection.created_at,
        updated_at: collection.updated_at,
    }
}
