TITLE Low-threshold (T-type) calcium current, Pospischil et al. 2008 (after Destexhe et al.)

NEURON {
    SUFFIX pos_cat
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, vx
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0 (S/cm2)
    e = 120 (mV)
    vx = 2 (mV)
}
ASSIGNED { v (mV) i (mA/cm2) sinf (1) uinf (1) tauu (ms) }
STATE { u }
INITIAL {
    rates(v)
    u = uinf
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    rates(v)
    i = gbar * sinf * sinf * u * (v - e)
}
DERIVATIVE gates {
    rates(v)
    u' = (uinf - u) / tauu
}
PROCEDURE rates(v (mV)) {
    UNITSOFF
    sinf = 1 / (1 + exp(-(v + vx + 57) / 6.2))
    uinf = 1 / (1 + exp((v + vx + 81) / 4))
    tauu = 30.8 / 3.7 + (211.4 + exp((v + vx + 113.2) / 5)) / (3.7 * (1 + exp((v + vx + 84) / 3.2)))
    UNITSON
}
