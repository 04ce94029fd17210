"""What models of whole populations share: features of counts and spike trains, parameter tables."""
