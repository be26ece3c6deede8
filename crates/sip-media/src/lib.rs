//! What an m= line becomes: negotiated audio sessions, tones, players, recorders.
