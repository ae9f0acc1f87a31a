//! Prints the lifecycle as the code has it, which is `docs/lifecycle.md`.

mod cases;
mod causes;
mod diagram;
mod table;

const HEAD: &str = "\
# The lifecycle of a service

Printed from the code by `cargo run -p towline-core --example lifecycle`; a test fails when this page differs.

## What a refresh makes of each status

A refresh pings first, and asks the scheduler only when the ping was not answered or the scheduler's last word is older
than the verification interval.

";

const RULES: &str = "
- **Unseen** is doubt: a query that failed, an empty answer, a cluster out of reach, an unknown word. It ends nothing.
- **Absent** is a word of authority: the queue, and accounting where it exists, have missed the job without a break for
  the settling time (5 minutes, by the clock of this machine and by the cluster's own). A submission whose answer was
  lost, and which left no job behind, is sent again then.
- **Grace** counts from the moment the command began to run, anew in each run of a requeued job, and is over only after a
  ping that was made over a working tunnel and was not answered. Such a TIMEOUT cancels the job.
- A ping counts only if the present run of the job has published the place, and the scheduler has said within the
  verification interval (60 s) that it runs.
- A stop that was asked for and heard ends in the status that was asked for. Nothing else cancels a job.
- Nothing moves a terminal status (STOPPED, TIMEOUT, FAILED), and nothing restarts it.

## The phases

A phase is what the code knows besides the status: what a service owns at that point of its life. An arrow is what was
learnt; what is not drawn changes no phase. *Queued* on an arrow from a later phase is a requeue.

";

/// The whole page.
fn page() -> String {
    let (table, diagram, causes) = (table::markdown(), diagram::mermaid(), causes::markdown());
    format!("{HEAD}{table}{RULES}```mermaid\n{diagram}```\n\n## How a service ends\n\n{causes}")
}

fn main() {
    #[expect(clippy::print_stdout, reason = "printing is what this program is for")]
    {
        print!("{}", page());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_up_to_date() {
        let page = include_str!("../../../../docs/lifecycle.md");
        let hint = "run: cargo run -p towline-core --example lifecycle > docs/lifecycle.md";
        assert_eq!(page, super::page(), "{hint}");
    }
}
