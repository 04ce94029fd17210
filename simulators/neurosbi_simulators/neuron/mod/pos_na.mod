TITLE Fast sodium current, Pospischil et al. 2008 (after Traub & Miles)
: speed multiplies both rates; VT shifts them along the voltage axis

NEURON {
    SUFFIX pos_na
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, VT, speed
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0 (S/cm2)
    e = 53 (mV)
    VT = -60 (mV)
    speed = 1 (1)
}
ASSIGNED { v (mV) i (mA/cm2) am (/ms) bm (/ms) ah (/ms) bh (/ms) }
STATE { m h }
INITIAL {
    rates(v)
    m = am / (am + bm)
    h = ah / (ah + bh)
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    i = gbar * m * m * m * h * (v - e)
}
DERIVATIVE gates {
    rates(v)
    m' = speed * (am * (1 - m) - bm * m)
    h' = speed * (ah * (1 - h) - bh * h)
}
PROCEDURE rates(v (mV)) {
    LOCAL u
    UNITSOFF
    u = v - VT
    am = 0.32 * 4 * ratio((13 - u) / 4)
    bm = 0.28 * 5 * ratio((u - 40) / 5)
    ah = 0.128 * exp((17 - u) / 18)
    bh = 4 / (1 + exp((40 - u) / 5))
    UNITSON
}
FUNCTION ratio(y) {
    if (fabs(y) < 1e-5) { ratio = 1 - y / 2 } else { ratio = y / (exp(y) - 1) }
}
