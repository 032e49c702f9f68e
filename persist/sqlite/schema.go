package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// columns lists every column of a database's tables with its type and its part in keys, by table.
func columns(ctx context.Context, db *sql.DB) (map[string][]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT m.name, p.name || ' ' || p.type ||
		CASE WHEN p."notnull" THEN '' ELSE ' null' END || CASE WHEN p.pk THEN ' key ' || p.pk ELSE '' END
		FROM sqlite_schema m JOIN pragma_table_info(m.name) p
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make(map[string][]string)
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		out[table] = append(out[table], column)
	}
	return out, rows.Err()
}

// checkSchema compares the tables with those that the migrations make in an empty database, and refuses a schema that
// somebody has changed: what is written to it would be refused later. Further tables are nobody's business.
func (s *Store) checkSchema(ctx context.Context, db *sql.DB) error {
	fresh, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return s.explain("make a schema to compare with", err)
	}
	defer fresh.Close()
	fresh.SetMaxOpenConns(1) // every connection has a memory of its own
	p, err := newProvider(fresh)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return s.explain("make a schema to compare with", err)
	}
	want, err := columns(ctx, fresh)
	if err != nil {
		return s.explain("read the schema", err)
	}
	have, err := columns(ctx, db)
	if err != nil {
		return s.explain("read the schema", err)
	}
	var faults []string
	for table, wanted := range want {
		for _, column := range wanted {
			if !slices.Contains(have[table], column) {
				faults = append(faults, "missing: "+table+"."+column)
			}
		}
		for _, column := range have[table] {
			if !slices.Contains(wanted, column) {
				faults = append(faults, "too much: "+table+"."+column)
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return fmt.Errorf("sqlite: the schema of %s was changed by hand (%s): undo that, or restore a backup", s.cfg.Path,
		strings.Join(faults[:min(len(faults), 3)], "; "))
}
