"""Imitation: a policy whose episodes a critic cannot tell from an expert's."""
