TITLE Fast transient sodium current of layer 5 pyramidal cells, Hay et al. 2011

NEURON {
    SUFFIX hay_nat
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, speed
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0 (S/cm2)
    e = 69 (mV)
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
    UNITSOFF
    am = 0.182 * 6 * ratio((-38 - v) / 6)
    bm = 0.124 * 6 * ratio((v + 38) / 6)
    ah = 0.015 * 6 * ratio((v + 66) / 6)
    bh = 0.015 * 6 * ratio((-66 - v) / 6)
    UNITSON
}
FUNCTION ratio(y) {
    if (fabs(y) < 1e-5) { ratio = 1 - y / 2 } else { ratio = y / (exp(y) - 1) }
}
