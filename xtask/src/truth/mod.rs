pub(crate) fn run(_arguments: &[String]) -> Result<(), crate::Failure> {
    Err("not yet".into())
}
