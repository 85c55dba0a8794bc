//! The catalogue: what all upstreams offer and what has been made of it, as one list.
//!
//! It is made anew whenever an upstream's list or an overlay changes, and read between: who may use
//! what is prepared here, so that a request only compares grants.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use breezeway_core::{ModelId, Permission, Principal};

use crate::{
    Alias, CatalogEntry, Connection, ConnectionKind, Model, Offer, Overlay, Route,
    alias::Chains,
    fleet::{Fleet, Line, Shared},
};

/// Overlays as they are held in memory: in the order they were made.
pub(crate) type Overlays = Arc<Vec<Arc<Overlay>>>;

/// Who may use a model.
#[derive(Clone, Debug)]
enum Access {
    /// Admins only: nobody has made an overlay that could grant it.
    Admins,
    /// Whoever each of these lets read: a custom model needs its base too.
    Readers(Vec<Arc<Overlay>>),
}

/// A model and who may use it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) model: Arc<Model>,
    /// Its offers at work.
    pub(crate) fleet: Arc<Fleet>,
    access: Access,
    /// Whether an overlay has switched it off.
    active: bool,
}

impl Listed {
    /// Whether the caller may use it.
    pub(crate) fn is_for(&self, principal: &Principal, open_to_all: bool) -> bool {
        key_allows(principal, &self.model.id) && self.is_granted_to(principal, open_to_all)
    }

    /// Whether the caller may use it under a name that the caller's key allows.
    pub(crate) fn is_granted_to(&self, principal: &Principal, open_to_all: bool) -> bool {
        self.active
            && (open_to_all
                || principal.is_admin()
                || match &self.access {
                    Access::Admins => false,
                    Access::Readers(overlays) => overlays
                        .iter()
                        .all(|overlay| overlay.grants.allow(principal, &overlay.owner, Permission::Read)),
                })
    }

    /// Where a request for it goes.
    pub(crate) fn route(&self) -> Option<Route> {
        let (connection, upstream_model) = self.fleet.foremost()?;
        Some(Route {
            model: self.model.clone(),
            overlay: self.model.overlay.clone(),
            connection: connection.clone(),
            upstream: self.fleet.clone(),
            fleet: self.fleet.clone(),
            upstream_model: upstream_model.to_owned(),
            fallback: None,
        })
    }

    /// Whether it is offered at all.
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }
}

/// Whether the caller's key, if there is one, names the model, with its tag or without `:latest`.
pub fn key_allows(principal: &Principal, id: &ModelId) -> bool {
    principal.key_allows_model(id.as_str())
        || id.as_str().strip_suffix(":latest").is_some_and(|name| principal.key_allows_model(name))
}

/// Models in order, each id once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    list: Vec<Listed>,
    by_id: HashMap<ModelId, usize>,
}

impl Shelf {
    /// Put one on the shelf. A known id keeps its place and the newcomer takes it.
    fn put(&mut self, listed: Listed) {
        match self.by_id.entry(listed.model.id.clone()) {
            hash_map::Entry::Occupied(place) => self.list[*place.get()] = listed,
            hash_map::Entry::Vacant(place) => {
                place.insert(self.list.len());
                self.list.push(listed);
            }
        }
    }

    /// The model of this id, or the one tagged `:latest` if the id has no tag.
    pub(crate) fn find(&self, id: &str) -> Option<&Listed> {
        let place = self.by_id.get(id).or_else(|| self.by_id.get(with_latest(id)?.as_str()))?;
        self.list.get(*place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.list.iter()
    }

    /// Bring the ids of `order` to the front.
    fn arrange(&mut self, order: &[String]) {
        if order.is_empty() {
            return;
        }
        let mut places = HashMap::new();
        for (place, id) in order.iter().enumerate() {
            places.entry(id.as_str()).or_insert(place);
        }
        self.list.sort_by_key(|listed| places.get(listed.model.id.as_str()).copied().unwrap_or(usize::MAX));
        for (place, listed) in self.list.iter().enumerate() {
            self.by_id.insert(listed.model.id.clone(), place);
        }
    }
}

/// `name:latest` for a name without a tag. A colon before the last slash is a port, not a tag.
pub(crate) fn with_latest(id: &str) -> Option<String> {
    let name = id.rsplit('/').next().unwrap_or(id);
    (!name.is_empty() && !name.contains(':')).then(|| format!("{id}:latest"))
}

/// All models there are at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// What a caller can choose from: base and custom models, without those switched off.
    pub(crate) offered: Shelf,
    /// The upstreams' own models, those switched off included.
    pub(crate) bases: Shelf,
    /// The same, only from OpenAI-compatible upstreams.
    openai: Shelf,
    /// The same, only from Ollama.
    ollama: Shelf,
    /// What aliases stand for.
    pub(crate) chains: Chains,
}

/// What the list is made with, beside what there is to list.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// Ids in the order to list them.
    pub(crate) order: &'a [String],
    pub(crate) aliases: &'a [Alias],
    pub(crate) fleets: &'a Arc<Shared>,
}

impl Listing {
    /// Merge what the connections list, in their order, and put the overlays on top.
    pub(crate) fn merge<'a>(
        catalogues: impl Iterator<Item = (&'a Arc<Line>, &'a [Arc<CatalogEntry>])> + Clone,
        overlays: &Overlays,
        setting: Setting<'_>,
    ) -> Self {
        let mut overrides = HashMap::new();
        for overlay in overlays.iter().filter(|overlay| overlay.base.is_none()) {
            overrides.insert(overlay.id.as_str(), overlay);
        }
        let shelf = |kind: ConnectionKind| {
            let mut shelf = Shelf::default();
            for (id, offers) in offers(catalogues.clone().filter(|(line, _)| line.connection.kind == kind)) {
                // Overlays imported from elsewhere name Ollama's models without the tag.
                let untagged = || overrides.get(id.as_str().strip_suffix(":latest")?);
                let overlay = overrides.get(id.as_str()).or_else(untagged).copied();
                shelf.put(base_model(id, offers, overlay, setting.fleets));
            }
            shelf
        };
        let (openai, ollama) = (shelf(ConnectionKind::OpenAi), shelf(ConnectionKind::Ollama));

        let mut bases = Shelf::default();
        for listed in openai.iter().chain(ollama.iter()) {
            bases.put(listed.clone());
        }
        let mut offered = Shelf::default();
        for listed in bases.iter().filter(|listed| listed.active) {
            offered.put(listed.clone());
        }
        for overlay in overlays.iter().filter(|overlay| overlay.active) {
            let Some(base) = overlay.base.as_ref().and_then(|base| bases.find(base.as_str())) else {
                continue;
            };
            if base.active {
                offered.put(custom_model(overlay, base));
            }
        }
        let chains = Chains::of(setting.aliases, &offered);
        offered.arrange(setting.order);
        bases.arrange(setting.order);
        Self { offered, bases, openai, ollama, chains }
    }

    /// The upstreams' own models of one kind, those switched off included.
    pub(crate) fn of_kind(&self, kind: ConnectionKind) -> &Shelf {
        match kind {
            ConnectionKind::OpenAi => &self.openai,
            ConnectionKind::Ollama => &self.ollama,
        }
    }
}

/// An offer, and how its connection is spoken to.
type Berth<'a> = (&'a Arc<Line>, Offer);

/// Every id the catalogues have, in order, with all connections that serve it.
fn offers<'a>(
    catalogues: impl Iterator<Item = (&'a Arc<Line>, &'a [Arc<CatalogEntry>])>,
) -> Vec<(ModelId, Vec<Berth<'a>>)> {
    let mut merged: Vec<(ModelId, Vec<Berth<'a>>)> = Vec::new();
    let mut places: HashMap<ModelId, usize> = HashMap::new();
    for (line, entries) in catalogues {
        for entry in entries {
            let Some(id) = listed_id(&line.connection, entry) else { continue };
            let offer = (line, Offer { connection: line.connection.clone(), entry: entry.clone() });
            match places.get(&id) {
                Some(&place) => {
                    let known = &mut merged[place].1;
                    // One connection serves an id once, however often its upstream lists it.
                    known.retain(|(other, _)| !Arc::ptr_eq(other, line));
                    known.push(offer);
                }
                None => {
                    places.insert(id.clone(), merged.len());
                    merged.push((id, vec![offer]));
                }
            }
        }
    }
    merged
}

fn listed_id(connection: &Connection, entry: &CatalogEntry) -> Option<ModelId> {
    connection.listed(&entry.id).parse().ok()
}

fn base_model(
    id: ModelId,
    berths: Vec<Berth<'_>>,
    overlay: Option<&Arc<Overlay>>,
    fleets: &Arc<Shared>,
) -> Listed {
    let fleet = Fleet::new(fleets, berths.iter().map(|(line, offer)| (*line, offer.entry.as_ref())));
    let offers: Vec<Offer> = berths.into_iter().map(|(_, offer)| offer).collect();
    let last = offers.last();
    let name = match (overlay, last) {
        (Some(overlay), _) => overlay.name.clone(),
        // A prefix tells apart what two upstreams call the same, so people need to see it as well.
        (None, Some(offer)) if offer.entry.name != offer.entry.id => offer.entry.name.clone(),
        (None, _) => id.to_string(),
    };
    Listed {
        access: overlay.map_or(Access::Admins, |overlay| Access::Readers(vec![overlay.clone()])),
        active: overlay.is_none_or(|overlay| overlay.active),
        fleet: Arc::new(fleet),
        model: Arc::new(Model { id, name, offers, overlay: overlay.cloned(), rendered: Default::default() }),
    }
}

fn custom_model(overlay: &Arc<Overlay>, base: &Listed) -> Listed {
    Listed {
        access: match &base.access {
            Access::Admins => Access::Admins,
            Access::Readers(overlays) => {
                Access::Readers([overlays.as_slice(), std::slice::from_ref(overlay)].concat())
            }
        },
        active: true,
        fleet: base.fleet.clone(),
        model: Arc::new(Model {
            id: overlay.id.clone(),
            name: overlay.name.clone(),
            offers: base.model.offers.clone(),
            overlay: Some(overlay.clone()),
            rendered: Default::default(),
        }),
    }
}

#[cfg(test)]
mod tests;
