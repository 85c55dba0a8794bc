//! The catalogue: what all upstreams offer, as one list.
