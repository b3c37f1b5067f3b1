"""Real peers, killed, cut off and starved at random points: nothing acknowledged is lost, nothing counted twice."""
