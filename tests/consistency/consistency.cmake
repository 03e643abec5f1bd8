# Consistency from outside, the short form: a run on each store. `make consistency` goes on.
add_test(NAME consistency COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consistency/run.sh
  ${CMAKE_BINARY_DIR} -length 9s)
set_tests_properties(consistency PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
