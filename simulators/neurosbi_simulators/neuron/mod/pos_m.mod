TITLE Slow non-inactivating potassium current, Pospischil et al. 2008

NEURON {
    SUFFIX pos_m
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, taumax, speed
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0 (S/cm2)
    e = -107 (mV)
    taumax = 600 (ms)
    speed = 1 (1)
}
ASSIGNED { v (mV) i (mA/cm2) pinf (1) taup (ms) }
STATE { p }
INITIAL {
    rates(v)
    p = pinf
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    i = gbar * p * (v - e)
}
DERIVATIVE gates {
    rates(v)
    p' = speed * (pinf - p) / taup
}
PROCEDURE rates(v (mV)) {
    UNITSOFF
    pinf = 1 / (1 + exp(-(v + 35) / 10))
    taup = taumax / (3.3 * exp((v + 35) / 20) + exp(-(v + 35) / 20))
    UNITSON
}
