//! Prints the lifecycle table, which is `docs/lifecycle.md`.

fn main() {
    #[expect(clippy::print_stdout, reason = "printing is what this program is for")]
    {
        print!("{}", towline_core::lifecycle::table::markdown());
    }
}
