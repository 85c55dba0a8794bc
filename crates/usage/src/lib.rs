#![doc = include_str!("../README.md")]

mod call;
mod config;
mod day;
mod estimate;
mod price;

mod ledger;
mod memory;
mod pending;
mod report;

mod budget;
mod keys;
mod rate;
mod refusal;
mod window;

mod meter;
mod reservation;
mod watch;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use self::{
    call::{Call, Operation, Outcome, Tokens, UnknownOperation},
    config::UsageConfig,
    day::{Day, InvalidDay},
    estimate::{estimate_bytes, estimate_tokens},
    ledger::{Batch, BudgetRecord, LedgerKey, LedgerStore, Recovered, Totals, Unit},
    memory::MemoryLedger,
    meter::{Footprint, Meter},
    price::{Price, PriceTable},
    rate::{Rate, RateState},
    refusal::{Exceeded, LimitKind, Refusal},
    report::{GroupBy, Report, ReportQuery, ReportRow},
    reservation::Reservation,
    watch::Watch,
};
