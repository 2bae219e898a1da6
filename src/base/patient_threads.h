// How threads of OpenMP wait for work.
#pragma once

namespace difftune {

// Keeps threads that wait from taking the processors away from other programs: libgomp lets them spin for milliseconds,
// and two runs on two cores took 19 times as long as one. How long they spin is read from the environment as the
// library is loaded, so the program starts itself again with it, once; call it before anything is read or written that
// cannot be twice. Does nothing where the environment says how to wait, or where a word of the command line is a pipe.
void let_waiting_threads_sleep();

}  // namespace difftune
