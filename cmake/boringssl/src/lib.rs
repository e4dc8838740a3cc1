//! Empty on purpose: cmake/HeddleBoringSsl.cmake uses the C libraries that the build script of `boring-sys` leaves behind.
