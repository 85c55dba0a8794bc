//! Aliases: names for a list of models of which the first that works answers.

use std::{collections::HashMap, sync::Arc};

use breezeway_core::ModelId;

use crate::{
    Model, Route,
    catalog::{Listed, Shelf},
    fleet::Fleet,
};

/// A name for a chain of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The name. It hides an upstream's or custom model of the same id, which can still be a target.
    pub id: ModelId,
    /// What it stands for, the preferred first. A target that does not exist is left out; another alias
    /// is none.
    pub targets: Vec<ModelId>,
}

/// The aliases of which at least one target exists.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chains(HashMap<ModelId, Chain>);

/// An alias as it is listed, and the models behind it in order.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) model: Arc<Model>,
    pub(crate) targets: Vec<Listed>,
}

impl Chains {
    pub(crate) fn of(aliases: &[Alias], offered: &Shelf) -> Self {
        let chain = |alias: &Alias| {
            let targets: Vec<Listed> =
                alias.targets.iter().filter_map(|target| offered.find(target.as_str())).cloned().collect();
            let model = Model {
                id: alias.id.clone(),
                name: alias.id.to_string(),
                offers: targets.first()?.model.offers.clone(),
                overlay: None,
                rendered: Default::default(),
            };
            Some((alias.id.clone(), Chain { model: Arc::new(model), targets }))
        };
        Self(aliases.iter().filter_map(chain).collect())
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Chain> {
        // Ids are compared as text; a map of ids can be asked with it.
        self.0.get(id)
    }
}

impl Chain {
    /// The route along the targets that `is_for` the caller. It begins at the first that is not broken.
    /// Those behind it that can be asked in the same way belong to its fleet; others are its fallback.
    pub(crate) fn route(&self, is_for: impl Fn(&Listed) -> bool) -> Option<Route> {
        along(self.targets.iter().filter(|target| is_for(target)), is_asked_alike)
    }

    /// The route along those of the targets that connections of one kind have, whose models are on
    /// `shelf`, as they are. For the native routes; `None` if the first target is not among them and
    /// `leads` says that it has to be. Where there are others, they are its fallback.
    pub(crate) fn route_at(
        &self,
        shelf: &Shelf,
        is_for: impl Fn(&Listed) -> bool,
        leads: bool,
    ) -> Option<Route> {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for target in self.targets.iter().filter(|target| is_for(target) && !target.fleet.is_empty()) {
            let here = shelf.find(target.model.id.as_str()).filter(|here| here.is_active());
            match here.filter(|_| !target.model.is_custom()) {
                Some(here) => own.push(here),
                None if leads && own.is_empty() => return None,
                None => others.push(target),
            }
        }
        let mut route = along(own.into_iter(), |_, _| true)?;
        let others = along(others.into_iter(), is_asked_alike);
        route.fallback = others.map(Arc::new);
        Some(route)
    }
}

/// Whether the two can be asked in one way.
type IsAlike = fn(&Listed, &Listed) -> bool;

fn along<'a>(targets: impl Iterator<Item = &'a Listed>, is_alike: IsAlike) -> Option<Route> {
    let mut left: Vec<&Listed> = targets.filter(|target| !target.fleet.is_empty()).collect();
    // Those in front of it are asked last: all that is known of them is that they fail.
    let first = left.iter().position(|target| target.fleet.is_ready()).unwrap_or(0);
    left.rotate_left(first);
    chained(&left, is_alike)
}

fn chained(targets: &[&Listed], is_alike: IsAlike) -> Option<Route> {
    let (&first, _) = targets.split_first()?;
    let (alike, others): (Vec<&Listed>, Vec<&Listed>) =
        targets.iter().copied().partition(|target| is_alike(first, target));
    let fleets: Vec<&Arc<Fleet>> = alike.iter().map(|target| &target.fleet).collect();
    let mut route = first.route()?;
    if fleets.len() > 1 {
        route.fleet = Arc::new(Fleet::chain(&fleets)?);
        route.upstream = route.fleet.clone();
    }
    route.fallback = chained(&others, is_alike).map(Arc::new);
    Some(route)
}

/// Whether a request made for one target is right for another: parameters depend on the kind of
/// connection, and a custom layer brings its own.
fn is_asked_alike(one: &Listed, other: &Listed) -> bool {
    let kind = |listed: &Listed| listed.model.offers.first().map(|offer| offer.connection.kind);
    let is_plain = |listed: &Listed| !listed.model.is_custom();
    let is_same = Arc::ptr_eq(&one.model, &other.model);
    is_same || (kind(one) == kind(other) && is_plain(one) && is_plain(other) && has_no_params(one, other))
}

/// Overrides of base models can have parameters too.
fn has_no_params(one: &Listed, other: &Listed) -> bool {
    [one, other].iter().all(|listed| {
        listed
            .model
            .overlay
            .as_ref()
            .is_none_or(|overlay| overlay.params.is_empty() && overlay.meta.is_empty())
    })
}
