//! Streams from one dialect into another, piece by piece.

use crate::frame::Frame;

/// Turns the frames of a streamed chat answer in OpenAI's dialect into the pieces of another dialect.
///
/// # Contract
/// - it knows nothing of how the network cut the bytes: the same frames give the same pieces;
/// - after [`finish`](Self::finish) or [`fail`](Self::fail), and after an end mark or an error in the
///   stream, nothing more comes of further frames.
pub trait Translate: Send + 'static {
    /// The pieces that come of one frame; none for a frame that says nothing.
    fn push(&mut self, frame: &Frame) -> Vec<Frame>;

    /// The stream has ended: what is left to say, unless the answer has ended before.
    fn finish(&mut self) -> Vec<Frame>;

    /// The stream broke: tell it, unless the answer has ended before.
    fn fail(&mut self, message: &str) -> Vec<Frame>;
}
