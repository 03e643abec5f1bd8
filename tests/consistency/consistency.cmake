# Consistency from outside, the short form: a run on each store. `make consistency` goes on.
add_test(NAME consistency COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/consistency/run.sh
  ${CMAKE_BINARY_DIR} -length 9s)
# And with two servers on one database.
add_test(NAME consistency_postgres COMMAND
  ${CMAKE_CURRENT_SOURCE_DIR}/consistency/on_postgres.py ${CMAKE_BINARY_DIR} -length 9s -runs 1)
# And with two on the fake of Spanner, which fails in every way that it knows.
add_test(NAME consistency_fake_spanner COMMAND
  ${CMAKE_CURRENT_SOURCE_DIR}/consistency/on_fake_spanner.py ${CMAKE_BINARY_DIR}
  -length 9s -runs 1)
# All are built in one place.
set_tests_properties(consistency consistency_postgres consistency_fake_spanner PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77
  RESOURCE_LOCK consistency)
