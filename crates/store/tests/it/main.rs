//! The store through its public doors.

mod accounts;
mod audit;
mod check;
mod conformance;
mod crash;
mod ledger;
mod library;
mod processing;
mod property;
mod schema;
mod support;
