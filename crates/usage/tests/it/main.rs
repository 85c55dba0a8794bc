//! The meter through its public doors.

mod books;
mod crash;
mod crowd;
mod flush;
mod limits;
mod many;
mod support;
