"""What a user hands over: images, weights, manifests, score files."""
