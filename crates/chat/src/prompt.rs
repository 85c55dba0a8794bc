//! The prompt: where the context goes and how it is introduced.

/// The template used unless the settings give another.
pub const DEFAULT_TEMPLATE: &str = "{{CONTEXT}}";
