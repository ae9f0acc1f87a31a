//! The laws, over bytes of every kind: random ones, and such as nearly make sense.

use proptest::prelude::*;

use crate::answer::{MARK, UNIT};
use crate::laws;

/// Bytes that may be anything, with now and then a piece that means something.
fn bytes(piece: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = Vec<u8>> {
    let random = prop::collection::vec(any::<u8>(), 0..30);
    let piece = prop_oneof![1 => random, 6 => piece.prop_map(String::into_bytes)];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn service() -> impl Strategy<Value = String> {
    (1..7_u8).prop_map(|n| format!("00000000-0000-4000-8000-{n:012}"))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => service().prop_map(|id| format!("web-{id}")),
        1 => service().prop_map(|id| format!("{id}-b")),
        1 => (service(), service()).prop_map(|(one, other)| format!("{one}-{other}")),
        1 => service().prop_map(|id| format!("\u{1b}[32m{id}\u{1b}[0m")),
        1 => service().prop_map(|id| format!("two\nlines|{id}")),
        1 => service().prop_map(|id| id.to_uppercase().replace('0', "A")),
        1 => "\\PC{0,12}",
    ]
}

fn field() -> impl Strategy<Value = String> {
    let words =
        ["RUNNING", "PENDING", "COMPLETED", "FAILED", "TIMEOUT", "R", "CG", "LÄUFT", "CANCELLED by 7", ""];
    let times =
        ["1795420996", "0:09", "29:51", "INVALID", "UNLIMITED", "N/A", "Unknown", "99999999999999999999"];
    prop_oneof![
        2 => prop::sample::select(vec!["17", "18", "33", "7", "7_1", "33+0", "7.batch", "18446744073709551616"]),
        4 => prop::sample::select(words.to_vec()),
        4 => prop::sample::select(times.to_vec()),
        1 => prop::sample::select(vec!["c1", "None", "0:0", "3:0", "0:11", "300:0", "\u{0}", "\r", "\u{1b}[1m"]),
    ]
    .prop_map(str::to_owned)
}

/// Something like a row: about so many fields, and a name.
fn row(fields: usize) -> impl Strategy<Value = String> {
    let job = prop::sample::select(vec!["17", "18", "33", "7", "35"]);
    let word = prop::sample::select(vec!["RUNNING", "COMPLETED", "FAILED", "PENDING", "REQUEUED", "TIMEOUT"]);
    let fields = prop_oneof![8 => Just(fields), 1 => 0..fields, 1 => Just(fields + 1)];
    let rest = fields.prop_flat_map(|count| prop::collection::vec(field(), count.saturating_sub(2)));
    let end = prop_oneof![6 => Just("\u{1f}\n"), 1 => Just("\u{1f}\r\n"), 1 => Just("\n"), 1 => Just("\u{1f}"), 1 => Just("")];
    (job, word, rest, name(), end).prop_map(|(job, word, rest, name, end)| {
        let fields = [vec![job.to_owned(), word.to_owned()], rest, vec![name]].concat();
        fields.join(&UNIT.to_string()) + end
    })
}

fn record() -> impl Strategy<Value = String> {
    let place = (0..70_000_u32, any::<i32>()).prop_map(|(port, at)| {
        format!(r#"{{"job":"17","restarts":0,"published_at":{at},"host":"c1","port":{port},"pid":9,"loopback":false}}"#)
    });
    let exit = any::<u16>().prop_map(|code| {
        format!(r#"{{"job":"18","restarts":0,"ended_at":1795421000,"code":{code},"signal":null,"time_limit":false}}"#)
    });
    let whole = prop_oneof![place, exit, "[ -~]{0,20}"];
    prop_oneof![3 => whole.clone(), 1 => (whole, 0..90_usize).prop_map(|(text, end)| text.chars().take(end).collect())]
}

fn file_line() -> impl Strategy<Value = String> {
    let file = prop::sample::select(vec!["place.json", "attempt.json", "exit.json", "other.json", "place"]);
    (service(), file, record()).prop_map(|(id, file, record)| format!("{id}/{file}:{record}\n"))
}

/// Our lines of an answer, in any order.
fn line() -> impl Strategy<Value = String> {
    let fixed = ["q0", "q1", "n", "a0", "a1", "t1795421000", "r", ".", "", "X"];
    prop_oneof![
        4 => prop::sample::select(fixed.to_vec()).prop_map(|line| format!("{MARK}{line}\n")),
        2 => row(8).prop_map(|row| format!("{MARK}Q{row}")),
        1 => row(6).prop_map(|row| format!("{MARK}A{row}")),
        1 => service().prop_map(|id| format!("{MARK}w{id}\n")),
        1 => file_line(),
    ]
}

proptest! {
    #[test]
    fn an_answer(data in bytes(line())) {
        laws::any_answer(&[b"\n\x1eq0\n", &data[..], b"\x1er\n\x1e.\n"].concat());
        laws::any_answer(&data);
    }

    #[test]
    fn a_queue(data in bytes(row(8).prop_map(|row| format!("{MARK}Q{row}")))) {
        laws::any_queue(&data);
    }

    #[test]
    fn an_accounting(data in bytes(row(6))) {
        laws::any_accounting(&data);
    }

    #[test]
    fn files(data in bytes(file_line())) {
        laws::any_files(&data);
    }

    #[test]
    fn a_record(text in record()) {
        laws::any_record(text.as_bytes());
    }
}

/// What the fuzzing begins with, and what it has found.
#[test]
fn the_seeds_of_the_fuzzing_keep_the_laws() {
    type Law = fn(&[u8]);
    let laws: [(&str, &[Law]); 3] = [
        ("squeue", &[laws::any_queue, laws::any_answer]),
        ("sacct", &[laws::any_accounting]),
        ("records", &[laws::any_files, laws::any_record]),
    ];
    for (target, laws) in laws {
        let dir = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        let seeds: Vec<_> = files.map(|path| std::fs::read(path).unwrap()).collect();
        assert!(seeds.len() > 5, "{dir}");
        seeds.iter().for_each(|seed| laws.iter().for_each(|law| law(seed)));
    }
}
