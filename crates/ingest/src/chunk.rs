//! Cutting documents into chunks.
//!
//! A chunk is a slice of the document's text, so that a citation can point into it. Chunks never
//! cross a section (a page, a slide), and in prose not a heading either. Inside those they end
//! where the text has its deepest break: a paragraph, a line, a sentence, a word; only text without
//! any is cut between signs.

use breezeway_knowledge::{ChunkHash, Document, NewChunk};

mod cutter;
mod heading;
mod ruler;

pub use self::ruler::estimated_tokens;
use self::{
    cutter::Cutter,
    heading::Block,
    ruler::{Ruler, TokenEnds, token_ends},
};

/// How text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlan {
    /// Longest chunk, in units of `measure`.
    pub size: usize,
    /// As much is repeated from the chunk before.
    pub overlap: usize,
    /// Chunks shorter than this are merged with a neighbour where they fit; 0 merges none.
    pub min_size: usize,
    /// Whether Markdown headings begin a new chunk.
    pub by_heading: bool,
    /// What sizes are counted in.
    pub measure: Measure,
}

/// What the size of a chunk is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Characters.
    #[default]
    Characters,
    /// Tokens of the embedding model, or an estimate of them where its tokenizer is not at hand.
    Tokens,
}

impl Measure {
    /// The measure that users of this API know as `name`. An empty name is the default.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            // Headings divide either way, by a setting of their own.
            "" | "character" | "markdown_header" => Some(Self::Characters),
            "token" | "tiktoken" | "token_transformers" => Some(Self::Tokens),
            _ => None,
        }
    }

    /// The name that [`Self::named`] finds it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Characters => "",
            Self::Tokens => "token",
        }
    }
}

impl Default for ChunkPlan {
    /// 1,000 characters with 100 of overlap, cut at headings: what users of this API are used to.
    fn default() -> Self {
        Self { size: 1000, overlap: 100, min_size: 0, by_heading: true, measure: Measure::Characters }
    }
}

/// What a document's text is. Extraction knows; the text alone does not tell a heading from a
/// comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextKind {
    /// Text for people, where a line that begins with `#` is a heading.
    #[default]
    Prose,
    /// Source code.
    Code,
    /// Rows and records.
    Data,
}

/// The text of a chunk as it is embedded, and of which [`NewChunk::hash`] is the hash: line ends
/// become spaces, as on Open WebUI.
pub fn embedded_text(chunk: &NewChunk) -> String {
    flattened(&chunk.text)
}

fn flattened(text: &str) -> String {
    text.replace('\n', " ")
}

/// Cut `document` into chunks, in order, with an estimate where the plan counts tokens.
///
/// Every sign that is not white space is in at least one chunk, and no chunk is blank or has white
/// space around it. None is longer than `plan.size`; a size of 0 is taken for 1. An overlap begins
/// at a break of the kind that ended the chunk before, so that it repeats sentences and not just
/// their ends, and is at most half that chunk.
pub fn cut(document: &Document, kind: TextKind, plan: &ChunkPlan) -> Vec<NewChunk> {
    cut_by_tokens(document, kind, plan, &|text| estimated_tokens(text))
}

/// Cut `document` as [`cut`] does, with `tokens` to say where the tokens of a text end, as byte
/// offsets in rising order. It is asked only if the plan counts tokens.
pub fn cut_by_tokens(
    document: &Document,
    kind: TextKind,
    plan: &ChunkPlan,
    tokens: TokenEnds<'_>,
) -> Vec<NewChunk> {
    let by_heading = plan.by_heading && kind == TextKind::Prose;
    let mut pieces: Vec<Piece> = Vec::new();
    let ends = match plan.measure {
        Measure::Characters => None,
        Measure::Tokens => Some(token_ends(&document.text, tokens)),
    };
    let whole = Ruler::new(&document.text, ends.as_deref());
    for block in heading::blocks(document, by_heading) {
        let ruler = whole.part(block.start, block.end);
        for range in Cutter::new(ruler, plan.size, plan.overlap, kind) {
            let (start, end) = (block.start + range.start, block.start + range.end);
            let piece = Piece { start, end, block: block.clone() };
            match pieces.last_mut() {
                Some(last) if plan.min_size > 0 && last.takes(&piece, whole, plan) => last.end = end,
                _ => pieces.push(piece),
            }
        }
    }
    pieces.into_iter().map(|piece| piece.chunk(&document.text)).collect()
}

/// A chunk before its text is copied.
struct Piece {
    start: usize,
    end: usize,
    block: Block,
}

impl Piece {
    /// Whether `next` is merged into this piece: one of the two is short, and both fit one chunk of
    /// one section.
    fn takes(&self, next: &Self, ruler: Ruler<'_>, plan: &ChunkPlan) -> bool {
        // Counting stops at `size`, so a run of tiny pieces costs no more than cutting them did.
        let is_shorter = |start: usize, end: usize, than: usize| ruler.fits(start, end, than);
        self.block.section == next.block.section
            && (is_shorter(self.start, self.end, plan.min_size.saturating_sub(1))
                || is_shorter(next.start, next.end, plan.min_size.saturating_sub(1)))
            && is_shorter(self.start, next.end, plan.size)
    }

    fn chunk(self, text: &str) -> NewChunk {
        let text = text[self.start..self.end].to_owned();
        NewChunk {
            hash: ChunkHash::of(&flattened(&text)),
            text,
            start: self.start,
            end: self.end,
            page: self.block.page,
            headings: self.block.headings.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
