//! What is seen on a terminal: it fits, and nothing foreign steers it.

use crate::harness::{Lab, Output, Screen};

/// Columns of the terminal.
const WIDTH: usize = 60;

/// Runs a shell text on such a terminal, with `towline` on the path.
fn on_a_terminal(lab: &Lab, text: &str) -> Output {
    Screen::run(lab, &format!("stty cols {WIDTH} rows 24; {text}")).ends()
}

/// The lines on the screen, without the sequences that colour them and move the cursor. A line that is too long goes on
/// below.
fn lines(output: &Output) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = output.stdout.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => drop(rest.by_ref().skip(1).find(|c| c.is_ascii_alphabetic())),
            _ => plain.push(c),
        }
    }
    let columns: Vec<Vec<char>> = plain.split(['\n', '\r']).map(|line| line.chars().collect()).collect();
    let on_screen =
        columns.iter().flat_map(|line| line.chunks(WIDTH)).map(|line| line.iter().collect::<String>());
    on_screen.map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// One line for each service and one for the headings: none goes on below.
#[track_caller]
fn assert_fits(output: &Output, services: usize) -> Vec<String> {
    let lines = lines(output);
    assert_eq!(lines.len(), services + 1, "{lines:#?}");
    lines
}

#[test]
fn a_narrow_terminal_is_enough() {
    let lab = Lab::new();
    let url = lab.run_web("a-model-for-everybody", &[]);
    lab.run("held", &["--detach", "--sbatch-arg=--hold", "--", "true"]).ok();
    let table = on_a_terminal(&lab, "towline ls").code(0);
    assert!(table.stdout.contains("\u{1b}["), "it is coloured: {table:?}");
    let lines = assert_fits(&table, 2);
    assert!(lines[1].contains("HEALTHY") && lines[1].contains(&url), "{lines:#?}");
    assert!(lines[2].contains("PENDING") || lines[2].contains("SUBMITTED"), "{lines:#?}");
    assert_fits(&on_a_terminal(&lab, "towline ls --all").code(0), 2);
    let events = on_a_terminal(&lab, "towline events held").code(0);
    assert_fits(&events, lab.history("held").len());
    let plain = on_a_terminal(&lab, "NO_COLOR=1 towline ls").code(0);
    assert!(!plain.stdout.contains('\u{1b}'), "{plain:?}");
    let piped = on_a_terminal(&lab, "towline ls | cat").code(0);
    assert!(piped.stdout.contains("the server answers") && !piped.stdout.contains('\u{1b}'), "{piped:?}");
}

#[test]
fn a_live_line_shows_how_a_service_starts() {
    let lab = Lab::new();
    let server = "--health / --sbatch-arg=--begin=now+4 -- python3 -m http.server '{port}'";
    let run = on_a_terminal(&lab, &format!("towline run --profile lab --name web {server}")).code(0);
    let lines = lines(&run);
    for status in ["SUBMITTED", "PENDING", "STARTING", "HEALTHY"] {
        assert!(lines.iter().any(|line| line.starts_with(&format!("web: {status}"))), "{status}: {lines:#?}");
    }
    let live = lines.iter().filter(|line| line.contains(" web PENDING: job"));
    assert!(live.clone().count() >= 2, "it is drawn again and again: {lines:#?}");
    // One that is too long would leave traces on the screen.
    assert!(live.clone().all(|line| line.ends_with('s')), "it ends with the seconds: {lines:#?}");
    assert!(lines.last().unwrap().starts_with("http://127.0.0.1:"), "{lines:#?}");
}

#[test]
fn foreign_text_does_not_steer_the_terminal() {
    let lab = Lab::new();
    let run = lab.run("web", &["--", "printf", "\\033[2Jcleared\\007\\n"]);
    let run = run.fails(8, &["cleared"]);
    assert!(!run.stderr.contains(['\u{1b}', '\u{7}']), "{run:?}");
}
