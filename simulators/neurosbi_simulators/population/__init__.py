"""What the models of neural populations share: networks, their parameters, population features."""
