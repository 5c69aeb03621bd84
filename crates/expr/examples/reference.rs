//! Writes the reference of expressions to the standard output.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(crucible_expr::reference().as_bytes())
}
