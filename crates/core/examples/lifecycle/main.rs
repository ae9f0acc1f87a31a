//! Prints the lifecycle as the code has it, which is `docs/lifecycle.md`.

mod table;

fn main() {
    #[expect(clippy::print_stdout, reason = "printing is what this program is for")]
    {
        print!("{}", table::markdown());
    }
}
