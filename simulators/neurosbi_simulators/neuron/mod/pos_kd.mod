TITLE Delayed-rectifier potassium current, Pospischil et al. 2008

NEURON {
    SUFFIX pos_kd
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, VT, speed
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0 (S/cm2)
    e = -107 (mV)
    VT = -60 (mV)
    speed = 1 (1)
}
ASSIGNED { v (mV) i (mA/cm2) an (/ms) bn (/ms) }
STATE { n }
INITIAL {
    rates(v)
    n = an / (an + bn)
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    i = gbar * n * n * n * n * (v - e)
}
DERIVATIVE gates {
    rates(v)
    n' = speed * (an * (1 - n) - bn * n)
}
PROCEDURE rates(v (mV)) {
    LOCAL u
    UNITSOFF
    u = v - VT
    an = 0.032 * 5 * ratio((15 - u) / 5)
    bn = 0.5 * exp((10 - u) / 40)
    UNITSON
}
FUNCTION ratio(y) {
    if (fabs(y) < 1e-5) { ratio = 1 - y / 2 } else { ratio = y / (exp(y) - 1) }
}
