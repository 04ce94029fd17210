TITLE Fast non-inactivating potassium current Kv3.1, Hay et al. 2011

NEURON {
    SUFFIX hay_kv31
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, speed
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gbar = 0 (S/cm2)
    e = -98.4 (mV)
    speed = 1 (1)
}
ASSIGNED { v (mV) i (mA/cm2) ninf (1) taun (ms) }
STATE { n }
INITIAL {
    rates(v)
    n = ninf
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    i = gbar * n * (v - e)
}
DERIVATIVE gates {
    rates(v)
    n' = speed * (ninf - n) / taun
}
PROCEDURE rates(v (mV)) {
    UNITSOFF
    ninf = 1 / (1 + exp(-(v - 18.7) / 9.7))
    taun = 4 / (1 + exp(-(v + 56.56) / 44.14))
    UNITSON
}
