#![doc = include_str!("../README.md")]

mod credentials;

pub use self::credentials::AuthRefusal;
