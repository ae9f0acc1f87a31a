//! What a batch script asks of `sbatch`, read back as `sbatch` reads it.

use std::iter::Peekable;
use std::str::Chars;

use proptest::prelude::*;
use towline_core::resources::Resources;
use towline_slurm::{Home, script};

use crate::support::{ID, spec};

/// The options of a script, by the rules of `_opt_batch_script` and `_get_argument` in Slurm's `src/sbatch/opt.c`: those
/// of the lines that begin with `#SBATCH`, up to the first line that is neither empty nor a comment.
fn as_sbatch_reads(script: &str) -> Vec<String> {
    let lines = script.lines().take_while(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    let directives = lines.filter_map(|line| line.strip_prefix("#SBATCH"));
    directives.flat_map(|line| arguments(&mut line.chars().peekable())).collect()
}

/// The words of a line: quotes and backslashes are taken away, and what follows a `#` is a comment.
fn arguments(line: &mut Peekable<Chars<'_>>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        while line.next_if(|c| c.is_whitespace()).is_some() {}
        if line.peek().is_none_or(|c| *c == '#') {
            return all;
        }
        let (mut word, mut quote) = (String::new(), None);
        while let Some(c) = line.next_if(|c| quote.is_some() || (!c.is_whitespace() && *c != '#')) {
            match (c, quote) {
                ('\\', _) => word.extend(line.next()),
                (c, Some(mark)) if c == mark => quote = None,
                ('"' | '\'', None) => quote = Some(c),
                (c, _) => word.push(c),
            }
        }
        all.push(word);
    }
}

/// The options that these resources mean, in the order of `sbatch(1)`'s names for them here.
fn meant(r: &Resources) -> Vec<String> {
    let words = [
        ("partition", &r.partition),
        ("account", &r.account),
        ("qos", &r.qos),
        ("reservation", &r.reservation),
        ("time", &r.time),
        ("mem", &r.mem),
        ("gpus", &r.gpus),
        ("gres", &r.gres),
        ("constraint", &r.constraint),
        ("nodelist", &r.nodelist),
        ("exclude", &r.exclude),
    ];
    let counts = [("nodes", r.nodes), ("ntasks-per-node", r.ntasks_per_node), ("cpus-per-task", r.cpus)];
    let words = words.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
    let counts = counts.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
    let requeue = r.requeue.map(|yes| if yes { "--requeue" } else { "--no-requeue" }.to_owned());
    let own = [format!("--job-name=web-{ID}"), "--output=server.log".into(), "--open-mode=append".into()];
    own.into_iter().chain(words).chain(counts).chain(requeue).chain(r.submit_args.clone()).collect()
}

fn value() -> impl Strategy<Value = Option<String>> {
    let odd = [
        "a b",
        "a#b",
        "\"a\"",
        "a'b",
        "a\\b",
        "a\n#SBATCH --uid=0",
        "",
        "é",
        "\t",
        "a\r",
        "-x",
        "--uid=0",
        "$(id)",
        "%u",
    ];
    prop::option::weighted(
        0.4,
        prop_oneof![9 => "[a-zA-Z0-9_,.:=|&!*()-]{1,10}", 1 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned)],
    )
}

fn resources() -> impl Strategy<Value = Resources> {
    let words = prop::collection::vec(value(), 8);
    let time = prop::option::of(prop::sample::select(vec!["10", "1-12:30", "UNLIMITED", "soon", "10\n"]));
    let mem = prop::option::of(prop::sample::select(vec!["500M", "1GB", "1.5G", "2 G"]));
    let counts = prop::collection::vec(prop::option::of(1..9_u32), 3);
    let args = prop::sample::subsequence(
        vec!["--nice=10", "--exclusive", "--comment=a#b", "--comment=x=y", "-n1"],
        0..3,
    );
    (words, time, mem, counts, any::<Option<bool>>(), args).prop_map(
        |(words, time, mem, counts, requeue, args)| Resources {
            partition: words[0].clone(),
            account: words[1].clone(),
            qos: words[2].clone(),
            reservation: words[3].clone(),
            gpus: words[4].clone(),
            gres: words[5].clone(),
            constraint: words[6].clone(),
            nodelist: words[7].clone(),
            exclude: words[0].clone(),
            time: time.map(str::to_owned),
            mem: mem.map(str::to_owned),
            nodes: counts[0],
            ntasks_per_node: counts[1],
            cpus: counts[2],
            requeue,
            submit_args: args.into_iter().map(str::to_owned).collect(),
        },
    )
}

proptest! {
    /// Either `sbatch` is asked for exactly what the user asked for, or nothing is sent.
    #[test]
    fn sbatch_reads_what_was_meant(resources in resources(), word in "\\PC{0,9}(\n#SBATCH --uid=0\n)?") {
        let mut spec = spec();
        spec.command.push(word.clone());
        spec.setup.push(word);
        spec.resources = resources;
        if let Ok(text) = script::render(ID.parse().unwrap(), &spec, &Home::default()) {
            let (mut read, mut meant) = (as_sbatch_reads(&text), meant(&spec.resources));
            // Their order means nothing, as none is there twice.
            read.sort_unstable();
            meant.sort_unstable();
            prop_assert_eq!(read, meant);
        }
    }
}

#[test]
fn the_reader_knows_sbatch_s_own_rules() {
    let script = "#!/bin/bash\n#SBATCH --a=b c # d\n\n #SBATCH --no\n#SBATCH \"--x y\" --z=a\\ b#c\nls\n#SBATCH --late\n";
    assert_eq!(as_sbatch_reads(script), ["--a=b", "c", "--x y", "--z=a b"]);
}
