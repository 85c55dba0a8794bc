//! Which offer answers a request: pure, so that it can be tried out by the thousand.
//!
//! 1. Offers that can be asked now, have room and whose connection is alive go before others; among
//!    them, those of the lowest priority number.
//! 2. Where upstreams say what they have loaded, those that have the model go first, up to a load. If
//!    none has, all requests for the model go to one of them, so that one loads it and not all.
//! 3. A conversation stays where its beginning is cached: rendezvous hashing (Thaler and Ravishankar
//!    1998) with the bound of Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded
//!    Loads" (2016): no offer takes more than a quarter above its share.
//! 4. All else goes to the better of two that were drawn (Mitzenmacher, "The Power of Two Choices in
//!    Randomized Load Balancing", 2001), by the expected wait: how fast it answers and what it has to do.

use super::{
    breaker::Readiness,
    dice::{mixed, unit},
};

/// The bound of bounded loads: this much above the fair share.
const ABOVE_SHARE: f64 = 1.25;

/// So few requests make nobody busy: a conversation is not torn from its cache for them.
const FEW: usize = 4;

/// A conversation leaves an offer whose expected wait is so many times that of the best.
const TOO_SLOW: f64 = 4.0;

/// Waits that differ by less than this are alike: the averages are not better than that.
const ALIKE: f64 = 0.8;

/// An offer as the choice sees it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// What tells it from others, the same in every process.
    pub(crate) id: u64,
    /// Lower goes first.
    pub(crate) group: u64,
    /// Its share, above 0.
    pub(crate) weight: f64,
    /// Requests under way and waiting at its connection.
    pub(crate) load: usize,
    /// Whether its connection would take one more at once.
    pub(crate) has_room: bool,
    /// Seconds to the first byte, if known.
    pub(crate) seconds: Option<f64>,
    /// What its breaker says.
    pub(crate) readiness: Readiness,
    /// Whether its connection answered when it was last asked for its models.
    pub(crate) is_alive: bool,
    /// Whether the model is loaded there.
    pub(crate) warmth: Warmth,
    /// How often this request was sent there.
    pub(crate) tried: u32,
}

/// Whether a model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warmth {
    /// Its upstream does not load and unload models, or does not say.
    Untold,
    /// It would have to be loaded first.
    Cold,
    /// It is loaded, or being loaded.
    Warm,
}

/// What a request would like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    /// Where its conversation belongs.
    pub(crate) conversation: Option<u64>,
    /// Where its model belongs while it is loaded nowhere.
    pub(crate) model: u64,
}

/// The offer to ask; `None` if those that are left have been asked and cannot be asked again now.
///
/// If every breaker is open, the one that closes first is asked all the same, once: like the panic
/// threshold of Envoy, on the thought that a gateway which refuses everything helps nobody, and so that
/// clients get the upstream's own words.
pub(crate) fn choose(views: &[View], wish: Wish, roll: &mut dyn FnMut() -> u64) -> Option<usize> {
    let is_ready = |view: &View| !matches!(view.readiness, Readiness::Not(_));
    let fewest = views.iter().filter(|view| is_ready(view)).map(|view| view.tried).min();
    let Some(fewest) = fewest else {
        let nothing_tried = views.iter().all(|view| view.tried == 0);
        return if nothing_tried { soonest(views) } else { None };
    };
    let rank = |view: &View| (!view.has_room, !view.is_alive, view.group);
    let is_next = |view: &View| is_ready(view) && view.tried == fewest;
    let best = views.iter().filter(|view| is_next(view)).map(rank).min()?;
    let equals: Vec<usize> =
        (0..views.len()).filter(|&at| is_next(&views[at]) && rank(&views[at]) == best).collect();
    match equals[..] {
        [] => None,
        [only] => Some(only),
        _ => Some(among(views, equals, wish, roll)),
    }
}

/// The offer that would be chosen, all else being equal: nothing is drawn, so it stays the same.
pub(crate) fn foremost(views: &[View]) -> Option<usize> {
    let is_not_ready = |view: &View| matches!(view.readiness, Readiness::Not(_));
    let is_cold = |view: &View| view.warmth == Warmth::Cold;
    (0..views.len()).min_by_key(|&at| {
        let view = &views[at];
        (is_not_ready(view), !view.has_room, !view.is_alive, view.group, is_cold(view))
    })
}

/// The one whose breaker closes first.
fn soonest(views: &[View]) -> Option<usize> {
    let until = |view: &View| match view.readiness {
        Readiness::Not(until) => until.0,
        _ => 0,
    };
    (0..views.len()).min_by_key(|&at| (!views[at].has_room, until(&views[at]), views[at].group))
}

fn among(views: &[View], mut equals: Vec<usize>, wish: Wish, roll: &mut dyn FnMut() -> u64) -> usize {
    let has = |equals: &[usize], warmth| equals.iter().any(|&at| views[at].warmth == warmth);
    let mut key = wish.conversation;
    if has(&equals, Warmth::Warm) {
        let can_take_more = |view: &View| (view.load as f64) < FEW as f64 * view.weight;
        let is_warm = |view: &View| view.warmth != Warmth::Cold;
        if equals.iter().any(|&at| is_warm(&views[at]) && can_take_more(&views[at])) {
            equals.retain(|&at| is_warm(&views[at]));
        }
    } else if has(&equals, Warmth::Cold) {
        key = Some(wish.model);
    }
    let costs = Costs::of(views, &equals);
    key.and_then(|key| home(views, &equals, &costs, key))
        .unwrap_or_else(|| better_of_two(views, &equals, &costs, roll))
}

/// What one more request would wait at each, as far as can be told.
struct Costs {
    /// Taken for those of which nothing is known.
    usual: f64,
}

impl Costs {
    fn of(views: &[View], equals: &[usize]) -> Self {
        let known: Vec<f64> = equals.iter().filter_map(|&at| views[at].seconds).collect();
        let usual = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
        Self { usual }
    }

    fn cost(&self, view: &View) -> f64 {
        // A millisecond at least, or load would not count where answers are instant.
        view.seconds.unwrap_or(self.usual).max(1e-3) * (view.load as f64 / view.weight + 1.0)
    }
}

/// Where `key` belongs, unless that is too busy or too slow; then the next, and so on.
fn home(views: &[View], equals: &[usize], costs: &Costs, key: u64) -> Option<usize> {
    let load: usize = equals.iter().map(|&at| views[at].load).sum();
    let weight: f64 = equals.iter().map(|&at| views[at].weight).sum();
    let best = equals.iter().map(|&at| costs.cost(&views[at])).fold(f64::INFINITY, f64::min);
    let takes = |view: &View| {
        let share = ABOVE_SHARE * (load + 1) as f64 * view.weight / weight;
        let is_busy = view.load >= FEW && (view.load + 1) as f64 > share.ceil();
        !is_busy && costs.cost(view) <= TOO_SLOW * best
    };
    let open = equals.iter().copied().filter(|&at| takes(&views[at]));
    open.max_by(|&one, &other| draw(key, &views[one]).total_cmp(&draw(key, &views[other])))
}

/// How much a key is drawn to an offer, in proportion to weights.
fn draw(key: u64, view: &View) -> f64 {
    -view.weight / unit(mixed(key ^ mixed(view.id))).ln()
}

fn better_of_two(views: &[View], equals: &[usize], costs: &Costs, roll: &mut dyn FnMut() -> u64) -> usize {
    let first = drawn(views, equals, None, roll());
    let second = drawn(views, equals, Some(first), roll());
    let (one, other) = (costs.cost(&views[first]), costs.cost(&views[second]));
    if other < ALIKE * one { second } else { first }
}

/// One of them, in proportion to weights, but not `taken`.
fn drawn(views: &[View], equals: &[usize], taken: Option<usize>, roll: u64) -> usize {
    let others = || equals.iter().copied().filter(|&at| Some(at) != taken);
    let weight: f64 = others().map(|at| views[at].weight).sum();
    let mut left = unit(roll) * weight;
    let mut last = equals[0];
    for at in others() {
        last = at;
        left -= views[at].weight;
        if left < 0.0 {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests;
