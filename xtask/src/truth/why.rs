//! Why a goal that is not met is not: what is known of the best that could be.

/// Of a claim; told below the table if one of its rows does not hold.
pub(super) fn why(id: &str) -> Option<&'static str> {
    Some(match id {
        "T14" => {
            "the bound in brackets is the 95th percentile of who knows where the edge lies and spends all 300 s there; a search \
             has to find it first. How often intervals hold is known to 1.3 points from 300 searches: of nine rows of exactly 95 % \
             one is outside 93-97 % by chance. Where it is more, the few clumps of a slow queue are taken for larger than they \
             are: such intervals are wider than need be"
        }
        "T17" => {
            "who knows both levels and the scatter, and that there is one change, places it within one run in the share told in \
             the row: neighbours of a shift of 1.5 sigma look alike. The range that the product states is wider for that reason"
        }
        "T18" => {
            "in so few cycles of such noise a step, a curve that levels off or the noise itself explains some of the leaks as \
             well as a line does; calling those leaks would call a noisy cache one. Most of them stay undecided, and \
             longer series decide them"
        }
        "T19" => {
            "how long a lock lasts is only seen at its end, and whether asking during it begins it anew only at the end of \
             another: where the first of them was met half-way, six windows are not enough"
        }
        _ => return None,
    })
}
