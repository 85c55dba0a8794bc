//! The meter through its public doors.

mod books;
mod crash;
mod flush;
mod limits;
mod support;
