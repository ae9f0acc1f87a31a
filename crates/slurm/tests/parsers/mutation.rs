//! Ways in which a row of a recorded answer may come out damaged.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::answer::{MARK, UNIT};

/// One damage to one row.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Cut(Index),
    CutWithItsLineEnd(Index),
    LostHead(Index),
    LostColumn(Index),
    MoreColumns(Index),
    SeparatorInName,
    LineEndInName,
    PipeInName,
    Coloured(Index),
    Nul(Index),
    NotUtf8(Index),
    CarriageReturn,
    UnknownWord(&'static str),
    HugeNumber(Index),
    OfAnArray,
    OfAHetJob,
    AStep,
    Twice,
    Header,
    ClusterName,
    BlankLines,
}

/// What may be said of the job of a damaged row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The same as before.
    None,
    /// The same as before, or nothing certain.
    Doubt,
    /// Nothing certain.
    Unseen,
    /// The same state of the same job, with other details, or nothing certain.
    Details,
}

/// Any damage.
pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    use Damage::*;
    let at = any::<Index>;
    let words = ["HIBERNATING", "LÄUFT", "running", "", "RUNNING?", "\u{1b}[32mRUNNING\u{1b}[0m"];
    prop_oneof![
        4 => at().prop_map(Cut),
        2 => at().prop_map(CutWithItsLineEnd),
        2 => at().prop_map(LostHead),
        2 => at().prop_map(LostColumn),
        2 => at().prop_map(MoreColumns),
        1 => Just(SeparatorInName),
        1 => Just(LineEndInName),
        1 => Just(PipeInName),
        2 => at().prop_map(Coloured),
        2 => at().prop_map(Nul),
        2 => at().prop_map(NotUtf8),
        1 => Just(CarriageReturn),
        2 => prop::sample::select(words.to_vec()).prop_map(UnknownWord),
        2 => at().prop_map(HugeNumber),
        1 => prop_oneof![Just(OfAnArray), Just(OfAHetJob), Just(AStep)],
        2 => prop_oneof![Just(Twice), Just(Header), Just(ClusterName), Just(BlankLines)],
    ]
}

impl Damage {
    /// What may be told afterwards of the row's own job.
    pub(crate) const fn effect(&self) -> Effect {
        match self {
            Self::PipeInName
            | Self::CarriageReturn
            | Self::Header
            | Self::ClusterName
            | Self::BlankLines
            | Self::Twice => Effect::None,
            Self::Cut(_) | Self::CutWithItsLineEnd(_) | Self::LostHead(_) | Self::Coloured(_) => {
                Effect::Doubt
            }
            Self::LostColumn(_)
            | Self::MoreColumns(_)
            | Self::SeparatorInName
            | Self::LineEndInName
            | Self::Nul(_) => Effect::Unseen,
            Self::UnknownWord(_) | Self::OfAnArray | Self::OfAHetJob | Self::AStep => Effect::Unseen,
            Self::NotUtf8(_) | Self::HugeNumber(_) => Effect::Details,
        }
    }

    /// Damages a row: a mark, a letter, fields that each end with a separator, and a line end.
    pub(crate) fn apply(&self, row: &str) -> Vec<u8> {
        let (letter, line) = (&row[..2], row[2..].trim_end_matches('\n'));
        let fields: Vec<&str> = line.split_terminator(UNIT).collect();
        let rebuilt = |fields: &[&str]| -> Vec<u8> {
            let fields: String = fields.iter().flat_map(|field| [*field, "\u{1f}"]).collect();
            format!("{letter}{fields}\n").into_bytes()
        };
        let with = |at: usize, field: &str| {
            let mut fields = fields.clone();
            fields[at] = field;
            rebuilt(&fields)
        };
        let (last, name) = (fields.len() - 1, fields[fields.len() - 1]);
        let inside = |at: &Index| 2 + at.index(line.len());
        match self {
            Self::Cut(at) => [row.as_bytes()[..inside(at)].to_vec(), b"\n".to_vec()].concat(),
            Self::CutWithItsLineEnd(at) => row.as_bytes()[..inside(at)].to_vec(),
            Self::LostHead(at) => row.as_bytes()[at.index(row.len() - 40)..][1..].to_vec(),
            Self::LostColumn(at) => {
                let mut fields = fields.clone();
                fields.remove(at.index(last));
                rebuilt(&fields)
            }
            Self::MoreColumns(at) => {
                let mut fields = fields.clone();
                fields.insert(at.index(last), "more");
                rebuilt(&fields)
            }
            Self::SeparatorInName => with(last, &format!("odd{UNIT}{name}")),
            Self::LineEndInName => with(last, &format!("two\n{name}")),
            Self::PipeInName => with(last, &format!("a|b|{name}")),
            Self::Coloured(at) => {
                let at = at.index(fields.len());
                with(at, &format!("\u{1b}[1;32m{}\u{1b}[0m", fields[at]))
            }
            Self::Nul(at) => insert(row, inside(at), 0),
            Self::NotUtf8(at) => insert(row, inside(at), 0xff),
            Self::CarriageReturn => row.replace('\n', "\r\n").into_bytes(),
            Self::UnknownWord(word) => with(1, word),
            Self::HugeNumber(at) => with(2 + at.index(last - 2), "99999999999999999999999"),
            Self::OfAnArray => with(0, &format!("{}_[0-2%1]", fields[0])),
            Self::OfAHetJob => with(0, &format!("{}+0", fields[0])),
            Self::AStep => with(0, &format!("{}.batch", fields[0])),
            Self::Twice => [row, row].concat().into_bytes(),
            Self::Header => {
                format!("{letter}{}{row}", format!("HEAD{UNIT}").repeat(fields.len()) + "\n").into_bytes()
            }
            Self::ClusterName => format!("CLUSTER: b\n{row}").into_bytes(),
            Self::BlankLines => format!("\n \n{row}\n\n").into_bytes(),
        }
    }
}

fn insert(row: &str, at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = row.as_bytes().to_vec();
    bytes.insert(at, byte);
    bytes
}

/// A recorded answer in pieces: each is a row with its line end, or anything else.
pub(crate) fn pieces(answer: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for line in answer.split_inclusive('\n') {
        match pieces.last_mut() {
            Some(piece) if !line.starts_with(MARK) => piece.push_str(line),
            _ => pieces.push(line.to_owned()),
        }
    }
    pieces
}

/// Whether a piece is a row of `squeue` or `sacct`.
pub(crate) fn is_row(piece: &str) -> bool {
    piece.starts_with("\u{1e}Q") || piece.starts_with("\u{1e}A")
}
