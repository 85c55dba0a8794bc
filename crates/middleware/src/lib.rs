#![doc = include_str!("../README.md")]

mod amend;
mod compression;
mod config;
mod cors;
mod credentials;
mod key_rules;
mod origin;
mod panic;
mod rates;
mod request_id;
mod security_headers;
mod stack;
mod timing;
mod trace;
mod trusted;

#[cfg(test)]
mod testing;

pub use self::{
    compression::{Compressible, compression},
    config::{InvalidConfig, MiddlewareConfig},
    cors::cors,
    credentials::{AuthRefusal, Credentials, CredentialsLayer, credential},
    origin::CrossSite,
    panic::{GuardedBody, PanicGuard, PanicGuardLayer},
    rates::{RateRefusal, Rates, RatesLayer},
    request_id::{RequestId, SetRequestId, SetRequestIdLayer},
    security_headers::{SecurityHeaders, SecurityHeadersLayer},
    stack::{Body, Stack, stack},
    timing::{Timing, TimingLayer},
    trace::{Trace, TraceLayer, TracedBody},
    trusted::{FromProxy, PeerAddress, Proxies, TrustedHeaders, Unclear},
};
